/**
 * BullMQ's flow-control errors. With them a BullMQ processor tells BullMQ's own worker what to do with its job. The worker of an entity
 * can't obey them, so the attempt fails as with any other error. The reason says what to do instead.
 *
 * Owns: the list of these errors, and the advice for each.
 * Neighbours: `retry.ts` decides whether there is another attempt. `store/redis/bullmq/native-job.ts` refuses calls that would move the
 * job.
 */
import { isKindOf } from '../model/error-text.js';
import { UnsupportedError } from '../model/errors.js';

const REMEDIES: Readonly<Record<string, string>> = {
  RateLimitError:
    'limit the starts of the entity type with its option rateLimit, or give the job attempts and a backoff',
  DelayedError:
    'give the job attempts and a backoff and throw any other error, or enqueue the rest of the work with a delay',
  WaitingError: 'give the job attempts and throw any other error, or enqueue the rest of the work as another job',
  WaitingChildrenError: 'enqueue the job and its children with enqueueFlow',
};

/** The failure of an attempt: the error that the handler threw, or an `UnsupportedError` in place of a flow-control error of BullMQ. */
export function failureOf(thrown: unknown): unknown {
  const name = Object.keys(REMEDIES).find(known => isKindOf(thrown, known));
  if (name === undefined) return thrown;
  return new UnsupportedError(
    `The handler threw BullMQ's ${name}, which only BullMQ's own worker obeys, so this attempt has failed. Instead, ${REMEDIES[name]}.`,
    { cause: thrown },
  );
}
