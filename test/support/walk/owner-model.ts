/**
 * A model of an owner: what a pod knows of one entity when it speaks to the store without an engine. It keeps to the rules
 * of the protocol, loses responses, and remembers old claims, under which its late calls come.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import type { EntityRef } from '../../../src/core/model/entity.js';
import type { FetchedJob, Settlement } from '../../../src/core/model/job.js';
import type { Claimed } from '../../../src/core/ports/claims.js';
import type { Fetched } from '../../../src/core/ports/work.js';

export class OwnerModel {
  claim: Claim | undefined;
  ready: FetchedJob[] = [];
  running: FetchedJob | undefined;
  /** Ends that are not known to be recorded. */
  unconfirmed: Settlement[] = [];
  /** A response was lost: nothing starts and nothing is fetched before a resync. */
  isBroken = false;
  /** The lease has run out, as far as the pod knows. */
  isLapsed = false;
  readonly oldClaims: Claim[] = [];

  constructor(
    readonly podId: string,
    readonly entity: EntityRef,
  ) {}

  get mayStart(): boolean {
    return this.claim !== undefined && !this.isBroken && !this.isLapsed && !this.running && this.ready.length > 0;
  }

  claimed({ claim, jobs }: Claimed): void {
    if (this.claim) this.oldClaims.push(this.claim);
    this.claim = claim;
    this.ready = [...jobs];
    this.unconfirmed = [];
    this.isBroken = false;
    this.isLapsed = false;
  }

  fetched({ jobs }: Fetched): void {
    this.ready.push(...jobs);
  }

  confirmed(settlement: Settlement, fetched: Fetched): void {
    this.unconfirmed = this.unconfirmed.filter(other => other !== settlement);
    // Jobs that were fetched after one that is retried are given back.
    if (settlement.outcome.kind === 'retrying') this.ready = [];
    this.fetched(fetched);
  }

  /** The pod has learnt that the entity is not its own, or has given it up. */
  lost(): void {
    if (this.claim) this.oldClaims.push(this.claim);
    this.claim = undefined;
    this.ready = [];
    this.unconfirmed = [];
    this.isBroken = false;
    this.isLapsed = false;
  }
}
