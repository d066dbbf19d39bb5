/**
 * The answers that the store owes one worker, used in the order of their requests: the store settles its promises in
 * that order, and each gets its one continuation at the moment it is made.
 *
 * Owns: how many are owed, how many fetches are among them, and which have become nobody's because the worker began
 * anew. Neighbour: `store-calls.ts` says what an answer means.
 */
export interface Expectation<T> {
  /** Jobs that the answer may bring. */
  readonly fetches?: number;
  readonly use: (value: T) => void;
  /** Errors that say nothing about the worker: they are their caller's matter alone. */
  readonly tolerates?: (error: Error) => boolean;
}

export class OwedAnswers {
  private generation = 0;
  private owed = 0;
  private owedFetches = 0;

  /** @param changed told after each answer that was owed; with the error, where nobody knows what is fetched here now. */
  constructor(private readonly changed: (failure?: Error) => void) {}

  get count(): number {
    return this.owed;
  }

  /** Jobs that were asked for and have not come. */
  get fetches(): number {
    return this.owedFetches;
  }

  expect<T>(answer: Promise<T>, { fetches = 0, use, tolerates }: Expectation<T>): void {
    const { generation } = this;
    this.owed++;
    this.owedFetches += fetches;
    const isOwed = () => {
      if (generation !== this.generation) return false;
      this.owed--;
      this.owedFetches -= fetches;
      return true;
    };
    answer.then(
      value => {
        if (!isOwed()) return;
        use(value);
        this.changed();
      },
      (error: Error) => {
        if (isOwed()) this.changed(tolerates?.(error) ? undefined : error);
      },
    );
  }

  /** What is under way is nobody's from now on. */
  forget(): void {
    this.generation++;
    this.owed = 0;
    this.owedFetches = 0;
  }
}
