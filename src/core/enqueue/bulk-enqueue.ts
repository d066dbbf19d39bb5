/**
 * Checks, encodes and sends bulks, in slices that do not block the event loop for long (I11).
 *
 * Owns: the slices of a large bulk, and the rule that a later enqueue of this pod is not sent before the bulk.
 * Neighbour: `enqueuer.ts` checks and sends single jobs.
 */
import { MAX_STEP_BYTES, weightOf } from '../model/bounds.js';
import { BulkEnqueueError } from '../model/errors.js';
import type { NewJob } from '../model/job.js';
import { OutcomeUnknownError, StepTooLargeError, StoreUnavailableError } from '../model/store-errors.js';
import { nextTurn } from '../ports/own-timers.js';

/** Bytes that are encoded in one turn of the event loop. A bulk with more bytes is large. */
const SLICE_BYTES = 1024 * 1024;
/** Slices of a large bulk that are sent at once. */
const SLICES_AT_ONCE = 4;

/** @typeParam Added what the caller learns about a job that was added. */
export interface BulkParts<Request, Added> {
  readonly order: SendOrder;
  /** Encodes a request. @throws an error that says what is wrong with it. */
  check(request: Request): NewJob;
  /** Whether the job's entity type has `maxPending`. A bulk with such a job is added in one step: all its jobs or none. */
  isBounded(job: NewJob): boolean;
  send(job: NewJob): Promise<Added>;
  sendTogether(jobs: readonly NewJob[]): Promise<Added>[];
}

/** Sends enqueues in the order of the calls, also while a large bulk is being sent. */
export class SendOrder {
  private last: Promise<void> | undefined;

  /** Sends at once, or after the large bulk that is being sent. */
  after<T>(send: () => Promise<T>): Promise<T> {
    return this.last ? this.last.then(send) : send();
  }

  /** Lets all later enqueues wait for `release`. @returns also the promise for which the caller itself must wait. */
  hold(): { readonly before: Promise<void> | undefined; release(): void } {
    const before = this.last;
    let release = () => {};
    const held = new Promise<void>(resolve => {
      release = resolve;
    });
    this.last = held;
    void held.then(() => {
      if (this.last === held) this.last = undefined;
    });
    return { before, release: () => release() };
  }
}

/** @throws BulkEnqueueError if some of its jobs were not added, StepTooLargeError, and the errors of `check`. */
export async function enqueueBulk<Request, Added>(
  requests: readonly Request[],
  parts: BulkParts<Request, Added>,
): Promise<Added[]> {
  const slices: NewJob[][] = [[]];
  let isBounded = false;
  let bytes = 0;
  let held: ReturnType<SendOrder['hold']> | undefined;
  const send = () =>
    isBounded ? Promise.allSettled(parts.sendTogether(slices.flat())) : sendSlices(slices, parts.send);
  try {
    for (const [index, request] of requests.entries()) {
      const job = parts.check(request);
      slices.at(-1)?.push(job);
      bytes += weightOf(job);
      isBounded ||= parts.isBounded(job);
      // guards: bulk-enqueue.enqueueBulk
      if (isBounded && bytes > MAX_STEP_BYTES) throw tooLarge(bytes, index + 1, requests.length);
      if (bytes < slices.length * SLICE_BYTES) continue;
      slices.push([]);
      held ??= parts.order.hold();
      await nextTurn();
    }
    if (held?.before) await held.before;
    return added(await (held ? send() : parts.order.after(send)), isBounded);
  } finally {
    held?.release();
  }
}

type Outcomes<Added> = readonly PromiseSettledResult<Added>[];

/** Sends a few slices at once, and the next ones after their responses, so that other calls of this pod come in between. */
async function sendSlices<Added>(
  slices: readonly NewJob[][],
  send: (job: NewJob) => Promise<Added>,
): Promise<Outcomes<Added>> {
  const outcomes: PromiseSettledResult<Added>[] = [];
  for (let at = 0; at < slices.length; at += SLICES_AT_ONCE) {
    const sent = slices.slice(at, at + SLICES_AT_ONCE).flat();
    for (const outcome of await Promise.allSettled(sent.map(send))) outcomes.push(outcome);
    if (!outcomes.some(isOutage)) continue;
    const reason = new StoreUnavailableError(
      'It was not sent, because the store was not available for the jobs before it.',
    );
    for (const _ of slices.slice(at + SLICES_AT_ONCE).flat()) outcomes.push({ status: 'rejected', reason });
    break;
  }
  return outcomes;
}

function isOutage(outcome: PromiseSettledResult<unknown>): boolean {
  return (
    outcome.status === 'rejected' &&
    (outcome.reason instanceof StoreUnavailableError || outcome.reason instanceof OutcomeUnknownError)
  );
}

function added<Added>(outcomes: Outcomes<Added>, isBounded: boolean): Added[] {
  const errors = outcomes.map(outcome => (outcome.status === 'rejected' ? (outcome.reason as Error) : undefined));
  const failed = errors.filter(error => error !== undefined);
  if (failed.length === 0) return outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  // The one step failed, so all jobs have the same error.
  if (isBounded && failed.length === outcomes.length && new Set(failed).size === 1) throw failed[0];
  throw new BulkEnqueueError(
    `${failed.length} of ${outcomes.length} jobs were not added, or their outcome is unknown; see errors. The first error: ${failed[0]?.message}`,
    errors,
  );
}

function tooLarge(bytes: number, count: number, all: number): StepTooLargeError {
  return new StepTooLargeError(
    `A bulk for an entity type with maxPending is added in one step. The data of its first ${count} of ${all} jobs`,
    { bytes, maxBytes: MAX_STEP_BYTES, remedy: 'split the bulk, and pass a job that alone exceeds this to enqueue()' },
  );
}
