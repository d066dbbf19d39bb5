/**
 * Errors by which a processor of BullMQ tells its own worker what to do with the job. The worker of an entity can't obey them: the try
 * fails, as with any other error, with a reason that says what to do instead.
 * Neighbours: `retry.ts` says whether there is another try, `store/redis/bullmq/native-job.ts` refuses calls that would move the job.
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

/** What a try has failed with: what the handler has thrown, or an UnsupportedError in place of an error of BullMQ's flow control. */
export function failureOf(thrown: unknown): unknown {
  const name = Object.keys(REMEDIES).find(known => isKindOf(thrown, known));
  if (name === undefined) return thrown;
  return new UnsupportedError(
    `The handler threw BullMQ's ${name}, which only BullMQ's own worker obeys: this try has failed. Instead, ${REMEDIES[name]}.`,
    { cause: thrown },
  );
}
