/** A claim, which `ports/claims.ts` grants and every guarded step carries. */
import type { EntityRef } from './entity.js';

/** A pod's right to work an entity. Every step for the entity's jobs carries it, and is refused if it is stale (I3). */
export interface Claim {
  readonly entity: EntityRef;
  /** Fencing token, which grows with each owner (I4): a decimal number of microseconds, as text. */
  readonly token: string;
  /** Number that the owner chooses, and that grows with each of its claims and resyncs. It makes the owner's own late calls stale. */
  readonly epoch: number;
}
