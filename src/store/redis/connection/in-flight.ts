/**
 * The batches of a channel that were sent and have no response yet, in their order.
 *
 * Owns: what a refusal, and the execution of a later batch, mean for an earlier one; when the connection counts as silent (race 15).
 * Neighbours: `channel.ts` sends batches; `outcome.ts` settles their calls.
 */
import { StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { Batch, Call } from './batch.js';
import { overtaken, rejectAll } from './outcome.js';

/** Calls that Redis has refused, and why. */
export interface Refused {
  readonly calls: readonly Call[];
  readonly refusals: readonly string[];
}

export class InFlight {
  private batches: Batch[] = [];
  /** Whether any response has come since the last {@link look}. */
  private heard = false;
  private silentMs = 0;

  get isEmpty(): boolean {
    return this.batches.length === 0;
  }

  get bytes(): number {
    return this.batches.reduce((sum, { size }) => sum + size, 0);
  }

  /** Whether a batch was refused: nothing may overtake its calls. */
  get hasRefused(): boolean {
    return this.batches.some(({ refusal }) => refusal !== undefined);
  }

  add(batch: Batch): void {
    this.batches.push(batch);
  }

  /** Redis has executed a batch. An earlier one that it has not can't be sent again without overtaking this one (race 17). */
  executed(batch: Batch): void {
    for (const earlier of this.batches.splice(0, this.batches.indexOf(batch) + 1)) {
      if (earlier !== batch) rejectAll(earlier, new StoreUnavailableError(overtaken(earlier)));
    }
    this.heard = true;
  }

  /** Redis has not executed a batch, and may execute its calls later. */
  refused(batch: Batch, refusal: string): void {
    this.heard = true;
    batch.refusal = refusal;
  }

  /** It is unknown whether Redis has executed a batch, or certain that it never will. */
  failed(batch: Batch): void {
    this.heard = true;
    this.batches.splice(this.batches.indexOf(batch), 1);
  }

  /** Takes the calls of refused batches back, in their order, once nothing else is in flight. */
  takeBack(): Refused | undefined {
    // guards: in-flight.takeBack
    if (this.batches.length === 0 || this.batches.some(({ refusal }) => refusal === undefined)) return undefined;
    const refusals = this.batches.map(({ refusal = '' }) => refusal);
    const calls = this.batches.flatMap(({ calls }) => calls);
    this.batches = [];
    return { calls, refusals };
  }

  /** Counts silence in looks: between two of them, responses that have arrived are read, so a blocked process is not silent. */
  look(watchMs: number): void {
    // guards: in-flight.look
    this.silentMs = this.heard || this.batches.length === 0 ? 0 : this.silentMs + watchMs;
    this.heard = false;
  }

  /** Whether responses are pending and none has come for that long: the connection hangs. */
  isSilentFor(ms: number): boolean {
    return this.batches.length > 0 && !this.heard && this.silentMs >= ms;
  }
}
