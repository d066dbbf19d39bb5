/**
 * The calls of a channel, and how many of them travel in one EVALSHA: bounded in number and bytes.
 * Neighbour: `channel.ts` sends batches, `outcome.ts` settles them.
 */

export type Argument = string | number;

export interface Call {
  readonly op: string;
  readonly args: readonly Argument[];
  readonly size: number;
  readonly madeAtMs: number;
  /** Turns the raw answer into the call's own; may throw the call's own error. */
  readonly decode: (answer: readonly unknown[]) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface Batch {
  readonly calls: readonly Call[];
  readonly size: number;
  /** Why the server did not execute it; undefined while it is under way. */
  refusal?: string;
}

/** Bounds of one EVALSHA: while it runs, Redis does nothing else (I11). A call that is larger goes by itself. */
export const MAX_CALLS = 64;

const MAX_BYTES = 512 * 1024;
/** Texts up to this length are counted by it, and longer ones byte by byte. */
const SHORT = 1024;

/** A large call delays none that would have gone with it. */
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
