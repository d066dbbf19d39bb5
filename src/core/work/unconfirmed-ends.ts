/**
 * The ends of jobs that the store has not confirmed yet, in their order. A resync sends them again (I5).
 *
 * Owns: the unconfirmed ends, and the number that marks the ends of one batch.
 * Neighbours: `store-calls.ts` sends ends and receives their confirmations. `resync.ts` sends them again.
 */
import type { Settlement } from '../model/job.js';

export class UnconfirmedEnds {
  private readonly byId = new Map<string, Settlement>();
  private batches = 0;

  get all(): readonly Settlement[] {
    return [...this.byId.values()];
  }

  get ids(): readonly string[] {
    return [...this.byId.keys()];
  }

  get isEmpty(): boolean {
    return this.byId.size === 0;
  }

  /** Adds the ends of a job or a batch. */
  add(settlements: readonly Settlement[]): void {
    const isBatch = settlements.length > 1;
    if (isBatch) this.batches++;
    for (const settlement of settlements) {
      this.byId.set(settlement.job.id, isBatch ? { ...settlement, batch: this.batches } : settlement);
    }
  }

  confirm(settlements: readonly Settlement[]): void {
    for (const { job } of settlements) this.byId.delete(job.id);
  }

  clear(): void {
    this.byId.clear();
  }
}
