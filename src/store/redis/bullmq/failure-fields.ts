/** A failed attempt in the hash of its job, in the fields that BullMQ writes. Neighbour: `encode.ts` encodes them. */
import { type FailureText, latestStacks } from '../../../core/model/error-text.js';
import { MAX_STACKS } from '../../../core/run/retry.js';

/** The fields that a failed attempt writes into its job. */
export interface FailureFields {
  readonly failedReason: string;
  /** Stacks of all attempts, as JSON text. */
  readonly stacktrace: string;
}

/**
 * The fields of a failed attempt, with the stacks of earlier ones: the latest, at most `stackTraceLimit`.
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

/** The stacks in a hash; none if the text was not written by BullMQ or this library. */
export function stacksIn(text: string | undefined): string[] {
  try {
    const stacks: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(stacks) ? stacks.filter(stack => typeof stack === 'string') : [];
  } catch {
    return [];
  }
}
