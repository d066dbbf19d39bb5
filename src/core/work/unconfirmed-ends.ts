/**
 * The ends of jobs that the store has not confirmed, in their order: a resync sends them again.
 *
 * Owns: the number that the ends of one batch share. Neighbours: `store-calls.ts` sends ends and learns of confirmations,
 * `resync.ts` repeats them.
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

  /** Ends of one job, or of a batch. */
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
