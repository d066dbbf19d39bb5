/**
 * A random walk over drops and takeovers of one entity, without engines: the walk itself acts as the pods. At any moment a pod fetches,
 * starts the oldest job that it has fetched, ends it, responds to a recall, or dies.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import type { EntityRef } from '../../../src/core/model/entity.js';
import type { FetchedJob } from '../../../src/core/model/job.js';
import { StaleClaimError } from '../../../src/core/model/job-errors.js';
import type { EngineConfig } from '../../../src/core/options/config.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import type { Cluster } from '../contract-pods.js';
import type { Random } from '../random.js';
import { done, withdrawal } from '../settlements.js';

interface OwnerModel {
  readonly store: EntityStore;
  readonly claim: Claim;
  fetched: FetchedJob[];
  running: FetchedJob | undefined;
}

const WEIGHTS = {
  enter: 6,
  many: 0.4,
  take: 6,
  start: 8,
  finish: 6,
  answer: 3,
  drop: 2,
  poll: 4,
  die: 1,
  look: 4,
  resync: 1,
};
/** More jobs than one step removes. */
const MANY = 1100;

export class DropWalk {
  readonly faults: string[] = [];
  readonly trace: string[] = [];
  private readonly pods: EntityStore[] = [];
  private owner: OwnerModel | undefined;
  private epoch = 0;
  private last = 0;
  /** By number: whether a drop has begun since it was enqueued, and whether it has started. */
  private readonly covered = new Set<number>();
  private readonly started = new Set<number>();
  /** Jobs that must not start any more, because a drop of them has ended. */
  private readonly dead = new Set<number>();
  private dropping: { readonly about: ReadonlySet<number>; isRemoved: boolean } | undefined;
  private underWay: Promise<unknown>[] = [];

  constructor(
    private readonly cluster: Cluster,
    private readonly of: { readonly config: EngineConfig; readonly entity: EntityRef },
    private readonly random: Random,
  ) {}

  async run(steps: number): Promise<void> {
    const operator = await this.cluster.pod(this.of.config);
    for (let i = 0; i < 3; i++) this.pods.push(await this.cluster.pod(this.of.config));
    for (let i = 0; i < steps; i++) {
      const action = this.random.weighted(WEIGHTS);
      this.trace.push(action);
      await this[action](operator);
    }
    await this.finishAll(operator);
  }

  private job(n: number, options = {}) {
    return withdrawal(this.of.config, this.of.entity, { n }, options);
  }

  /** Sometimes under the id of a job that is certainly gone. */
  private async enter(operator: EntityStore): Promise<void> {
    const n = ++this.last;
    const [gone] = this.dead;
    const again = gone !== undefined && !this.started.has(gone) && this.random.chance(0.3);
    await operator.add(this.job(n, { jobId: `job-${again ? gone : n}` }), 'route-only');
    if (again) this.dead.delete(gone);
  }

  private many(operator: EntityStore): void {
    const jobs = Array.from({ length: MANY }, () => [this.job(++this.last), 'route-only'] as const);
    this.underWay.push(Promise.all(operator.addAll(jobs)));
  }

  private async look(): Promise<void> {
    if (this.owner) return;
    const store = this.random.pick(this.pods);
    const claimed = await store.tryClaim(this.of.entity, ++this.epoch);
    if (typeof claimed !== 'object') return;
    this.owner = { store, claim: claimed.claim, fetched: [...claimed.jobs], running: undefined };
  }

  private async take(): Promise<void> {
    const { owner } = this;
    if (owner) owner.fetched.push(...(await owner.store.take(owner.claim, this.random.int(1, 5))).jobs);
  }

  private start(): void {
    const { owner } = this;
    if (!owner || owner.running) return;
    owner.running = owner.fetched.shift();
    if (!owner.running) return;
    const { n } = owner.running.data as { n: number };
    this.trace.push(`starts ${n}`);
    if (this.dead.has(n) && !this.started.has(n)) this.faults.push(`job ${n} has started after its drop had ended`);
    const skipped = [...this.started].filter(other => other > n && !this.started.has(n));
    if (skipped.length > 0) this.faults.push(`job ${n} has started after ${skipped.join(', ')}`);
    this.started.add(n);
  }

  private async finish(): Promise<void> {
    const { owner } = this;
    if (!owner?.running) return;
    const { running } = owner;
    owner.running = undefined;
    owner.fetched.push(...(await owner.store.finish(owner.claim, [done(running)], this.random.int(0, 3))).jobs);
  }

  /** The owner responds to a recall: jobs that it has not started are dropped. */
  private async answer(): Promise<void> {
    const { owner } = this;
    if (!owner) return;
    owner.fetched = [];
    await owner.store.giveBack(owner.claim, owner.running ? [owner.running.id] : []);
  }

  private async resync(): Promise<void> {
    const { owner } = this;
    if (!owner || owner.running) return;
    const { claim, jobs } = await owner.store.resync(owner.claim, ++this.epoch, []);
    this.owner = { ...owner, claim, fetched: [...jobs] };
  }

  private async die(): Promise<void> {
    if (!this.owner) return;
    const { store, claim } = this.owner;
    this.owner = undefined;
    await this.cluster.expireLeases();
    if (this.random.chance(0.5)) await store.take(claim, 2).catch(expectStale);
  }

  /** An operator drops all jobs that were enqueued before; their pages are removed while the walk goes on. */
  private drop(operator: EntityStore): void {
    if (this.dropping) return;
    const about = new Set(Array.from({ length: this.last }, (_, i) => i + 1).filter(n => !this.started.has(n)));
    for (const n of about) this.covered.add(n);
    const dropping = { about, isRemoved: false };
    this.dropping = dropping;
    this.underWay.push(
      operator.control.drop(this.of.entity).then(() => {
        dropping.isRemoved = true;
      }),
    );
  }

  private async poll(operator: EntityStore): Promise<void> {
    const { dropping } = this;
    if (!dropping?.isRemoved || (await operator.control.isDropping(this.of.entity))) return;
    this.dropping = undefined;
    for (const n of dropping.about) this.dead.add(n);
    this.trace.push('dropped');
  }

  private async finishAll(operator: EntityStore): Promise<void> {
    await Promise.all(this.underWay.splice(0));
    for (let i = 0; i < 20_000; i++) {
      if (this.dropping) {
        await this.answer();
        await this.poll(operator);
      }
      await this.look();
      this.start();
      await this.finish();
      if (this.owner && this.owner.fetched.length === 0) {
        // if all fetched jobs have ended, no drop is pending, although the owner has not heard of it yet
        await this.answer();
        await this.take();
      }
      if (this.owner?.fetched.length === 0) break;
      if (!this.owner) break;
    }
    const lost = Array.from({ length: this.last }, (_, i) => i + 1).filter(
      n => !this.started.has(n) && !this.covered.has(n),
    );
    if (lost.length > 0) this.faults.push(`never started, and never dropped: ${lost.join(', ')}`);
    const { waiting, active, delayed } = await operator.control.status(this.of.entity);
    if (waiting + active + delayed > 0) this.faults.push(`${waiting} jobs wait, ${active} are active at the end`);
  }
}

function expectStale(error: unknown): void {
  if (!(error instanceof StaleClaimError)) throw error;
}
