/**
 * Grants of claims in memory: a claim of an unowned entity, a takeover, and a resync; and the job that a takeover counts as stalled.
 * Neighbours: `claims.ts` decides whether to grant; `leases.ts` says how long a claim lasts.
 */
import { entityKey } from '../../core/model/entity.js';
import { STALLED_TOO_OFTEN } from '../protocol-constants.js';
import { giveBack } from './queue.js';
import type { Removal } from './removal.js';
import type { MemoryState, StoredEntity, StoredJob } from './state.js';

export interface GrantOptions {
  readonly podId: string;
  readonly epoch: number;
  readonly maxStalledCount: number;
  /** Only a holder that knows its token keeps it. */
  readonly keepsToken: boolean;
}

export class Grants {
  private lastToken = 0;

  constructor(
    private readonly state: MemoryState,
    private readonly removal: Removal,
  ) {}

  /** Gives the claim to a pod; all that was fetched goes back in its order. @returns how many jobs were taken over. */
  grant(entity: StoredEntity, { podId, epoch, maxStalledCount, keepsToken }: GrantOptions): number {
    const isTakeover = entity.owner?.podId !== podId;
    if (!keepsToken) entity.token = this.nextToken();
    // It is unknown which of them had started; what the operator has dropped must not start.
    // guards: grants.grant
    if (entity.owner?.recall === 'drop') this.removal.drop(entity, entity.active);
    const back = entity.active;
    giveBack(entity);
    if (isTakeover && back.length === 1 && back[0]) this.countStalled(entity, back[0], maxStalledCount);
    entity.owner = { podId, epoch, untilMs: this.state.now() + this.state.leaseMs };
    this.state.due.set(entityKey(entity.ref), entity.owner.untilMs);
    return isTakeover ? back.length : 0;
  }

  /** One series for all entities: it grows for each of them, and need not be kept per entity (I4, I8). */
  private nextToken(): number {
    this.lastToken = Math.max(this.lastToken + 1, Math.floor(this.state.clock.wallMs() * 1000));
    return this.lastToken;
  }

  /** The job that was fetched alone may have killed its pod. */
  private countStalled(entity: StoredEntity, job: StoredJob, maxStalled: number): void {
    const pods = entity.suspect?.jobId === job.id ? entity.suspect.pods : [];
    if (entity.owner) entity.suspect = { jobId: job.id, pods: [...pods, entity.owner.podId] };
    job.stalled++;
    if (job.stalled > maxStalled) job.mustFail = STALLED_TOO_OFTEN;
  }

  /** A pod that has lost an entity is heard: the suspected job has not killed it. */
  clearSuspicion(entity: StoredEntity, podId: string): void {
    const { suspect } = entity;
    // guards: grants.clearSuspicion
    if (!suspect?.pods.includes(podId)) return;
    entity.suspect = { ...suspect, pods: suspect.pods.filter(id => id !== podId) };
    const job = [...entity.wait, ...entity.active].find(({ id }) => id === suspect.jobId);
    if (!job || job.stalled < 1) return;
    job.stalled--;
    if (job.mustFail === STALLED_TOO_OFTEN) job.mustFail = undefined;
  }
}
