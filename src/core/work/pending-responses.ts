/**
 * The answers that the store owes one worker, used in the order of their requests: the store settles its promises in
 * that order, and each gets its one continuation at the moment it is made.
 *
 * Owns: how many are owed, how many fetches are among them, and which are ignored because of a resync. Neighbour: `store-calls.ts` says what an answer means.
 */
export interface Tracked<T> {
  /** Jobs that the answer may bring. */
  readonly fetches?: number;
  readonly use: (value: T) => void;
  /** Errors that say nothing about the worker: they are their caller's matter alone. */
  readonly tolerates?: (error: Error) => boolean;
}

export class PendingResponses {
  private generation = 0;
  private pending = 0;
  private pendingFetches = 0;

  /** @param changed told after each answer that was owed; with the error, if it is unknown what is fetched here now. */
  constructor(private readonly changed: (failure?: Error) => void) {}

  get count(): number {
    return this.pending;
  }

  /** Jobs that were asked for and have not come. */
  get fetches(): number {
    return this.pendingFetches;
  }

  track<T>(answer: Promise<T>, { fetches = 0, use, tolerates }: Tracked<T>): void {
    const { generation } = this;
    this.pending++;
    this.pendingFetches += fetches;
    const isOwed = () => {
      // guards: pending-responses.track
      if (generation !== this.generation) return false;
      this.pending--;
      this.pendingFetches -= fetches;
      return true;
    };
    answer.then(
      value => {
        if (!isOwed()) return;
        // A fault of ours: what is fetched here now is as unknown as if the response had not come.
        let fault: Error | undefined;
        try {
          use(value);
        } catch (error) {
          fault = error as Error;
        }
        this.changed(fault);
      },
      (error: Error) => {
        if (isOwed()) this.changed(tolerates?.(error) ? undefined : error);
      },
    );
  }

  /** The response to what is under way is ignored. */
  forget(): void {
    this.generation++;
    this.pending = 0;
    this.pendingFetches = 0;
  }
}
