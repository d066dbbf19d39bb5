/**
 * The pending responses of the store to one worker. They are used in the order of their calls: the store settles its promises in that
 * order, and each promise gets its only continuation as soon as it exists.
 *
 * Owns: the number of pending responses and of the jobs that they may bring, and which responses are ignored after a resync.
 * Neighbours: `store-calls.ts` and `release.ts` say what a response means.
 */

export interface Tracked<T> {
  /** Maximum number of jobs that the response may bring. */
  readonly fetches?: number;
  readonly use: (response: T) => void;
  /** Whether an error says nothing about the state of the worker. Such an error concerns only the caller. */
  readonly tolerates?: (error: Error) => boolean;
}

export class PendingResponses {
  private generation = 0;
  private pending = 0;
  private pendingFetches = 0;

  /** @param changed called after each pending response; with the error, if the worker no longer knows which jobs it has fetched. */
  constructor(private readonly changed: (failure?: Error) => void) {}

  get count(): number {
    return this.pending;
  }

  /** Number of jobs that were requested and whose responses are pending. */
  get fetches(): number {
    return this.pendingFetches;
  }

  track<T>(response: Promise<T>, { fetches = 0, use, tolerates }: Tracked<T>): void {
    const { generation } = this;
    this.pending++;
    this.pendingFetches += fetches;
    const arrived = () => {
      // guards: pending-responses.track
      if (generation !== this.generation) return false;
      this.pending--;
      this.pendingFetches -= fetches;
      return true;
    };
    response.then(
      value => {
        if (!arrived()) return;
        // An error here is a fault of this library. As after a lost response, the worker no longer knows which jobs it has fetched.
        let fault: Error | undefined;
        try {
          use(value);
        } catch (error) {
          fault = error as Error;
        }
        this.changed(fault);
      },
      (error: Error) => {
        if (arrived()) this.changed(tolerates?.(error) ? undefined : error);
      },
    );
  }

  /** Ignores all responses that are pending now. */
  forget(): void {
    this.generation++;
    this.pending = 0;
    this.pendingFetches = 0;
  }
}
