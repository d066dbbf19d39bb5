/**
 * Intake in memory: one job, several in one step, or a flow; and the route of each.
 * Neighbours: `new-jobs.ts` and `flows.ts` add jobs; `claims.ts` and `fetch.ts` are what an add may bring along.
 */
import type { NewJob } from '../../core/model/job.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Claimed } from '../../core/ports/claims.js';
import type { Intake, IntakeHint, IntakeResult, NewFlow } from '../../core/ports/intake.js';
import type { Fetched } from '../../core/ports/work.js';
import type { MemoryClaims } from './claims.js';
import type { Fetch } from './fetch.js';
import { MemoryFlows } from './flows.js';
import type { NewJobs } from './new-jobs.js';
import { heldForMs } from './queue.js';
import type { MemoryServer } from './server.js';
import type { Owner, StoredEntity } from './state.js';
import { step } from './step.js';

export interface IntakeParts {
  readonly config: EngineConfig;
  readonly podId: string;
  readonly newJobs: NewJobs;
  readonly claims: MemoryClaims;
  readonly fetch: Fetch;
}

type Routed =
  | { readonly route: 'local'; readonly fetched: Fetched }
  | { readonly route: 'claimed'; readonly claimed: Claimed }
  | { readonly route: 'unknown-claim' | 'remote' | 'unowned' | 'delayed' };

export class MemoryIntake implements Intake {
  private readonly flows: MemoryFlows;

  constructor(
    private readonly server: MemoryServer,
    private readonly parts: IntakeParts,
  ) {
    this.flows = new MemoryFlows(server, parts.newJobs);
  }

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    return step(() => {
      this.parts.newJobs.checkCapacity([job]);
      return this.addOne(job, hint);
    });
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    try {
      this.parts.newJobs.checkCapacity(jobs.map(([job]) => job));
    } catch (error) {
      return jobs.map(() => Promise.reject(error));
    }
    return jobs.map(([job, hint]) => step(() => this.addOne(job, hint)));
  }

  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[] {
    try {
      const known = this.flows.knownId(flow);
      if (known !== undefined)
        return flow.jobs.map(
          async ({ path }): Promise<IntakeResult> => ({ jobId: `${known}${path}`, route: 'remote' }),
        );
      return this.flows.takeIn(flow).map(({ entity, jobId, delayMs }, index) => {
        const { isParent, hint = 'route-only' } = flow.jobs[index] ?? {};
        if (isParent) return step((): IntakeResult => ({ jobId, route: 'parent' }));
        return step(() => ({ jobId, ...this.route(entity, hint, delayMs) }));
      });
    } catch (error) {
      return flow.jobs.map(() => Promise.reject(error));
    }
  }

  private addOne(job: NewJob, hint: IntakeHint): IntakeResult {
    const { entity, jobId, delayMs } = this.parts.newJobs.takeIn(job);
    return { jobId, ...this.route(entity, hint, delayMs) };
  }

  private route(entity: StoredEntity, hint: IntakeHint, delayMs: number): Routed {
    const { inspections, leases } = this.server;
    const { owner } = entity;
    if (owner?.podId === this.parts.podId) return this.routeToThisPod(entity, owner, hint);
    if (owner && leases.isOwnedByOther(entity, this.parts.podId)) {
      const { maxHandlers } = this.parts.config.entityType(entity.ref.type);
      const isFree = entity.active.length < maxHandlers || leases.isGathering(entity);
      const isHeld = heldForMs(entity, this.server.now()) !== undefined;
      if (owner.isDormant || (isFree && !isHeld)) inspections.callOwner(entity);
      return { route: 'remote' };
    }
    if (delayMs > 0) {
      inspections.lowerDue(entity, this.server.now() + delayMs);
      return { route: 'delayed' };
    }
    if (hint !== 'route-only' && hint.mayClaim)
      return { route: 'claimed', claimed: this.parts.claims.claim(entity, hint.epoch) };
    inspections.lowerDue(entity, this.server.now());
    if (!inspections.callAnother(this.parts.podId, entity)) inspections.requestWorker(entity.ref);
    return { route: 'unowned' };
  }

  private routeToThisPod(entity: StoredEntity, owner: Owner, hint: IntakeHint): Routed {
    if (hint === 'route-only' || owner.epoch !== hint.epoch) {
      if (owner.isDormant) this.server.inspections.callOwner(entity);
      return { route: 'unknown-claim' };
    }
    const count = entity.active.length < hint.atOnce ? 1 : 0;
    return { route: 'local', fetched: this.parts.fetch.taken(entity, count) };
  }
}
