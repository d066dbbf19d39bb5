/**
 * Bulks on their way in: checked, encoded and sent, with nothing that takes long in one turn of the event loop (I11).
 *
 * Owns the slices of a large bulk, and that what this pod enqueues after it is not sent before it.
 * Neighbour: `enqueuer.ts` checks and sends single jobs.
 */
import { MAX_STEP_BYTES, weightOf } from '../model/bounds.js';
import { BulkEnqueueError } from '../model/errors.js';
import type { NewJob } from '../model/job.js';
import { OutcomeUnknownError, StepTooLargeError, StoreUnavailableError } from '../model/store-errors.js';
import { nextTurn } from '../ports/own-timers.js';

/** So many bytes are encoded in one turn of the event loop; a bulk with more is a large one. */
const SLICE_BYTES = 1024 * 1024;
/** So many slices of a large bulk are on their way at once. */
const SLICES_AT_ONCE = 4;

/** @typeParam Added what is told of a job that was added. */
export interface BulkParts<Request, Added> {
  readonly order: SendOrder;
  /** @throws what is wrong with the request. */
  check(request: Request): NewJob;
  /** Its type bounds its backlogs: a bulk with such a job is added in one step, all or none. */
  isBounded(job: NewJob): boolean;
  send(job: NewJob): Promise<Added>;
  sendTogether(jobs: readonly NewJob[]): Promise<Added>[];
}

/** What is enqueued is sent in the order of the calls, also while a large bulk is under way. */
export class SendOrder {
  private last: Promise<void> | undefined;

  /** Sends at once, unless a large bulk is under way. */
  after<T>(send: () => Promise<T>): Promise<T> {
    return this.last ? this.last.then(send) : send();
  }

  /** From now on what is enqueued waits for `release`. @returns what to wait for itself. */
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

/** @throws BulkEnqueueError where some of its jobs were not added, StepTooLargeError, what `check` throws. */
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

/** Some at once; of a large bulk the next when these are answered, so that other calls of this pod come in between. */
async function sendSlices<Added>(
  slices: readonly NewJob[][],
  send: (job: NewJob) => Promise<Added>,
): Promise<Outcomes<Added>> {
  const outcomes: PromiseSettledResult<Added>[] = [];
  for (let at = 0; at < slices.length; at += SLICES_AT_ONCE) {
    const sent = slices.slice(at, at + SLICES_AT_ONCE).flat();
    for (const outcome of await Promise.allSettled(sent.map(send))) outcomes.push(outcome);
    if (!outcomes.some(isOutage)) continue;
    const reason = new StoreUnavailableError('It was not sent, since the store was away when jobs before it were.');
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
  // One error for all: in one step none was added.
  if (isBounded && failed.length === outcomes.length && new Set(failed).size === 1) throw failed[0];
  throw new BulkEnqueueError(
    `${failed.length} of ${outcomes.length} jobs were not added, or nobody knows; the first: ${failed[0]?.message}`,
    errors,
  );
}

function tooLarge(bytes: number, count: number, all: number): StepTooLargeError {
  return new StepTooLargeError(
    `A bulk for a type with maxPending is one step; what its first ${count} of ${all} jobs carry`,
    { bytes, maxBytes: MAX_STEP_BYTES, remedy: 'split it, and enqueue a job that is larger by itself' },
  );
}
