/** A claim: what `claims.ts` grants, and every guarded step carries. */
import type { EntityRef } from './entity.js';

/** A pod's right to work an entity. Every step that touches the entity's jobs carries it and is refused when it is stale (I3). */
export interface Claim {
  readonly entity: EntityRef;
  /** The fencing token: grows with each new owner (I4). A decimal number of microseconds, as text. */
  readonly token: string;
  /** Chosen by the owner, and grows with each new start of it: makes its own late calls stale. */
  readonly epoch: number;
}
