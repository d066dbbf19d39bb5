/**
 * The calls of a channel, and how many of them go into one EVALSHA: bounded in number and bytes.
 * A batch takes the oldest calls, in their order. Neighbours: `channel.ts` sends batches, one after the other, `outcome.ts` settles their calls.
 */

export type Argument = string | number;

export interface Call {
  readonly op: string;
  readonly args: readonly Argument[];
  readonly size: number;
  readonly madeAtMs: number;
  /** Turns the raw response into the call's result. May throw the call's error. */
  readonly decode: (response: readonly unknown[]) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface Batch {
  readonly calls: readonly Call[];
  readonly size: number;
  /** Why Redis did not execute it; undefined while it is in flight. */
  refusal?: string;
}

/** Maximum number of calls in one EVALSHA: while it runs, Redis does nothing else (I11). */
export const MAX_CALLS = 64;

/** Maximum size of a batch. A larger call is a batch of its own. */
const MAX_BYTES = 512 * 1024;
/** A text of up to this length counts as that many bytes; a longer one is measured. */
const SHORT = 1024;

/** Takes the next batch. A large call does not go with smaller ones, which it would delay. */
export function nextBatch(waiting: Call[]): Call[] {
  let bytes = 0;
  let count = 0;
  while (count < waiting.length && count < MAX_CALLS) {
    bytes += waiting[count]?.size ?? 0;
    // guards: batch.nextBatch
    if (count > 0 && bytes > MAX_BYTES) break;
    count++;
  }
  return waiting.splice(0, count);
}

export function sizeOf(arg: Argument): number {
  if (typeof arg === 'number') return 8;
  return arg.length <= SHORT ? arg.length : Buffer.byteLength(arg);
}

export function sizeOfAll(calls: readonly Call[]): number {
  return calls.reduce((sum, { size }) => sum + size, 0);
}
