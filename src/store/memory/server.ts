/**
 * What all memory stores of one "cluster" share, as Redis is what all Redis stores share: the data, and the rules for it.
 * Neighbours: `state.ts` has the data, each other file here a rule; `memory-store.ts` is one pod's view of it.
 */
import { Deduplications } from './deduplications.js';
import { Grants } from './grants.js';
import { Inspections } from './inspection-schedule.js';
import { Leases } from './leases.js';
import { Removal } from './removal.js';
import { MemoryState } from './state.js';

export class MemoryServer extends MemoryState {
  readonly deduplications = new Deduplications(this);
  readonly leases = new Leases(this);
  readonly inspections = new Inspections(this, this.leases);
  readonly removal = new Removal(this, {
    deduplications: this.deduplications,
    leases: this.leases,
    inspections: this.inspections,
  });
  readonly grants = new Grants(this, this.removal);
}
