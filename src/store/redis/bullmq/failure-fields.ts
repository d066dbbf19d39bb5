/** What is kept of a try that failed, in the hash of its job: the fields that BullMQ writes. Neighbour: `encode.ts` encodes them. */
import { type FailureText, latestStacks } from '../../../core/model/error-text.js';
import { MAX_STACKS } from '../../../core/run/retry.js';

/** What a failed try writes into its job. */
export interface FailureFields {
  readonly failedReason: string;
  /** Of all tries, as JSON text. */
  readonly stacktrace: string;
}

/**
 * What a try that failed writes, with the stacks of those before it: as many as `stackTraceLimit`, the latest.
 * @param ends how many jobs end in the same step.
 */
export function failureFields(
  { reason, stack }: FailureText,
  {
    earlier,
    limit = MAX_STACKS,
    ends,
  }: { readonly earlier: string | undefined; readonly limit?: number | undefined; readonly ends: number },
): FailureFields {
  return { failedReason: reason, stacktrace: JSON.stringify(latestStacks(stacksIn(earlier), stack, limit, ends)) };
}

/** What others have written by hand is none. */
export function stacksIn(text: string | undefined): string[] {
  try {
    const stacks: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(stacks) ? stacks.filter(stack => typeof stack === 'string') : [];
  } catch {
    return [];
  }
}
