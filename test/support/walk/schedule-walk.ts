/**
 * A walk over schedules: models of owners, and an operator, call the stores of two pods, one call at a time, and the checker
 * examines the result of each. On either store; deterministic but for the tokens and, on Redis, for time.
 * Neighbours: `schedule-actions.ts` chooses what happens; `schedule-checker.ts` says what must hold.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import type { EntityRef } from '../../../src/core/model/entity.js';
import type { JobOptions, NewJob } from '../../../src/core/model/job.js';
import { StaleClaimError } from '../../../src/core/model/job-errors.js';
import { resolveOptions } from '../../../src/core/options/resolve.js';
import type { Claimed } from '../../../src/core/ports/claims.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import type { Fetched } from '../../../src/core/ports/work.js';
import type { Cluster } from '../contract-pods.js';
import { Random } from '../random.js';
import { withdrawal } from '../settlements.js';
import { OwnerModel } from './owner-model.js';
import {
  type Change,
  LEASE_MS,
  liveIds,
  ScheduleChecker,
  type SeenSchedules,
  seeSchedules,
} from './schedule-checker.js';

const TRACE_LENGTH = 60;

/** A store, and its clock. */
export interface Stage {
  readonly cluster: Cluster;
  /** In ms since 1970. */
  readonly nowMs: () => number;
  /** How much time passes between actions. */
  readonly pausesMs: readonly number[];
}

export class ScheduleWalk {
  readonly random: Random;
  readonly entity: EntityRef = { type: 'account', id: '1' };
  readonly isStrict: boolean;
  /** Otherwise the entity leaves nothing at all in the end. */
  readonly keepsFailed: boolean;
  readonly checker: ScheduleChecker;
  readonly stores = new Map<string, EntityStore>();
  readonly owners: OwnerModel[] = [];
  /** The owner that was granted the claim last, and has not given it up. */
  holder: OwnerModel | undefined;
  private readonly config;
  private readonly trace: string[] = [];
  private violation: string | undefined;
  private seen: SeenSchedules | undefined;
  private epochs = 0;
  private jobs = 0;

  constructor(
    readonly stage: Stage,
    readonly seed: number,
  ) {
    this.random = new Random(seed);
    this.isStrict = this.random.chance(0.6);
    this.keepsFailed = this.random.chance(0.5);
    this.checker = new ScheduleChecker(this.isStrict, this.keepsFailed, this.violate);
    this.config = resolveOptions({
      workerDefaults: { heartbeatTTL: LEASE_MS / 1000 },
      entities: {
        account: {
          ordering: this.isStrict ? 'strict' : 'relaxed',
          ...(!this.keepsFailed && { defaultJobOptions: { removeOnFail: true } }),
        },
      },
    });
  }

  readonly violate = (what: string): void => {
    this.violation ??= what;
  };

  note(...what: unknown[]): void {
    this.trace.push(what.join(' '));
  }

  /** @throws with the seed and the trace, when an invariant was violated. */
  throwIfViolated(): void {
    if (this.violation === undefined) return;
    const kind = `${this.isStrict ? 'strict' : 'relaxed'}, failed jobs ${this.keepsFailed ? 'kept' : 'removed'}`;
    throw new Error(`SEED=${this.seed} (${kind}): ${this.violation}\n${this.trace.slice(-TRACE_LENGTH).join('\n')}`);
  }

  nextEpoch(): number {
    return ++this.epochs;
  }

  nextJob(options: JobOptions): NewJob {
    return withdrawal(this.config, this.entity, { n: this.jobs++ }, options);
  }

  async startPod(podId: string): Promise<void> {
    this.stores.set(podId, await this.stage.cluster.pod(this.config));
    this.owners.push(new OwnerModel(podId, this.entity));
  }

  /** All pods are gone, and their leases have run out. */
  async crashAll(): Promise<void> {
    for (const store of this.stores.values()) await store.close();
    this.stores.clear();
    this.owners.length = 0;
    this.holder = undefined;
    await this.stage.cluster.expireLeases();
  }

  storeOf({ podId }: Pick<OwnerModel, 'podId'>): EntityStore {
    const store = this.stores.get(podId);
    if (!store) throw new Error(`no pod ${podId}`);
    return store;
  }

  /** Any pod's. */
  get anyStore(): EntityStore {
    return this.random.pick([...this.stores.values()]);
  }

  async see(): Promise<SeenSchedules> {
    const [store] = this.stores.values();
    if (!store) throw new Error('no pod');
    return seeSchedules(this.stage, store, this.entity);
  }

  /** The entity before the present step. */
  async now(): Promise<SeenSchedules> {
    this.seen ??= await this.see();
    return this.seen;
  }

  /** Checks what a step has done. */
  async check(name: string, change: Change): Promise<void> {
    const before = await this.now();
    this.seen = undefined;
    const after = await this.now();
    this.note(name, '→', show(after));
    this.checker.check(before, after, change, this.holder !== undefined);
    this.throwIfViolated();
  }

  /** A call of an owner under its claim. @returns undefined if it was refused, and the claim is lost. */
  async guarded<T>(owner: OwnerModel, what: string, call: (store: EntityStore, claim: Claim) => Promise<T>) {
    const { claim, podId } = owner;
    if (!claim) throw new Error(`${podId} has no claim`);
    try {
      return await call(this.storeOf(owner), claim);
    } catch (error) {
      if (!(error instanceof StaleClaimError)) this.violate(`I10: ${what} of ${podId} failed: ${error}`);
      else if (owner === this.holder && !owner.isLapsed) this.violate(`I3: ${what} of ${podId} was refused: ${error}`);
      this.note(`  ${what} of ${podId} was refused`);
      this.lost(owner);
      return undefined;
    }
  }

  claimed(owner: OwnerModel, claimed: Claimed): void {
    if (this.holder !== undefined && this.holder !== owner && !this.holder.isLapsed)
      this.violate(`I1: ${owner.podId} is given what ${this.holder.podId} owns`);
    owner.claimed(claimed);
    this.holder = owner;
    this.note(`  ${owner.podId} owns it under epoch ${claimed.claim.epoch}`);
    this.remember(claimed.jobs);
  }

  private remember(jobs: readonly { readonly id: string }[]): void {
    for (const { id } of jobs) {
      this.note('  fetched', id);
      this.checker.fetched.add(id);
    }
  }

  fetched(owner: OwnerModel, fetched: Fetched): void {
    owner.fetched(fetched);
    this.remember(fetched.jobs);
  }

  /** As far as the pods know. */
  lapseAll(): void {
    for (const owner of this.owners) owner.isLapsed = owner.claim !== undefined;
  }

  lost(owner: OwnerModel): void {
    owner.lost();
    if (this.holder === owner) this.holder = undefined;
  }

  /** I8: all schedules are removed and all jobs have ended: nothing is left, unless failed jobs are kept. */
  async checkNothingLeft(): Promise<void> {
    const seen = await this.see();
    this.note('in the end', show(seen));
    if (liveIds(seen).length > 0) this.violate('I5: jobs are left');
    if (seen.failed.length === 0) {
      if (seen.dueInMs !== undefined) this.violate('I8: a drained entity is due');
      const keys = await this.stage.cluster.keysOf(this.entity).catch((error: unknown) => [`a key for ever: ${error}`]);
      if (keys.length > 0) this.violate(`I8: a drained entity leaves ${keys}`);
    }
    this.throwIfViolated();
  }
}

function show({ active, waiting, delayed, failed, schedules, status, dueInMs }: SeenSchedules): string {
  const ids = (jobs: SeenSchedules['active']) => jobs.map(({ jobId }) => jobId).join(' ');
  const parts = [
    `${ids(active)} | ${ids(waiting)} | later ${ids(delayed)}`,
    failed.length > 0 && `failed ${ids(failed)}`,
    `schedules ${schedules.map(({ id, nextAtMs }) => `${id}@${nextAtMs}`).join(' ')}`,
    status.isPaused && 'paused',
    status.blockedBy && `blocked by ${status.blockedBy.jobId}`,
    dueInMs !== undefined && `due in ${Math.round(dueInMs)}`,
  ];
  return parts.filter(part => part).join(', ');
}
