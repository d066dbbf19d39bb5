/**
 * What owners do to an entity with schedules, one action at a time, chosen by chance from theirs and an operator's.
 * Neighbours: `schedule-operator.ts` has the latter, `schedule-final-check.ts` the end of a walk.
 */

import type { FetchedJob, Settlement } from '../../../src/core/model/job.js';
import { StaleClaimError } from '../../../src/core/model/job-errors.js';
import type { ReleaseMode } from '../../../src/core/ports/claims.js';
import { serving } from '../settlements.js';
import { isKept } from './entity-checker.js';
import type { OwnerModel } from './owner-model.js';
import { type Change, MAX_BACKOFF_MS, type SeenSchedules } from './schedule-checker.js';
import { ScheduleOperator } from './schedule-operator.js';
import type { ScheduleWalk } from './schedule-walk.js';

const WEIGHTS = {
  enter: 8,
  look: 14,
  start: 14,
  end: 18,
  take: 8,
  giveBack: 4,
  release: 5,
  renew: 2,
  lateCall: 3,
  lapse: 3,
};

export class ScheduleActions {
  private readonly operator: ScheduleOperator;

  constructor(private readonly walk: ScheduleWalk) {
    this.operator = new ScheduleOperator(walk);
  }

  async begin(): Promise<void> {
    for (const podId of ['x', 'y']) await this.walk.startPod(podId);
  }

  async step(): Promise<void> {
    const name = this.walk.random.weighted({ ...WEIGHTS, ...ScheduleOperator.weights });
    const seen = await this.walk.now();
    const change =
      name in WEIGHTS
        ? await this[name as keyof typeof WEIGHTS](seen)
        : await this.operator[name as keyof typeof ScheduleOperator.weights](seen);
    if (change) await this.walk.check(name, change);
  }

  /** The jobs that are dropped when fetched jobs are given back. */
  private readonly isRecalled = (jobId: string): boolean => this.walk.checker.recalled.has(jobId);

  private async enter(): Promise<Change> {
    const { walk } = this;
    const owner = walk.random.pick(walk.owners);
    const hint = owner.claim
      ? { epoch: owner.claim.epoch, mayClaim: false, atOnce: 1 }
      : owner.running || walk.random.chance(0.5)
        ? 'route-only'
        : { epoch: walk.nextEpoch(), mayClaim: true, atOnce: 1 };
    const answer = await walk.storeOf(owner).add(walk.nextJob({ attempts: 2 }), hint);
    if (answer.route === 'claimed') walk.claimed(owner, answer.claimed);
    if (answer.route === 'local') walk.fetched(owner, answer.fetched);
    return { removes: this.isRecalled };
  }

  private async look(): Promise<Change | undefined> {
    const { walk } = this;
    const owner = this.pick(({ claim, running }) => !claim && !running);
    if (!owner) return undefined;
    const answer = await walk.storeOf(owner).tryClaim(walk.entity, walk.nextEpoch());
    if (typeof answer !== 'string') walk.claimed(owner, answer);
    else walk.note('  ', answer);
    return { removes: this.isRecalled };
  }

  private async start(): Promise<undefined> {
    const owner = this.pick(({ mayStart }) => mayStart);
    if (!owner) return;
    owner.running = owner.ready.shift();
    this.walk.note(owner.podId, 'starts', owner.running?.id);
  }

  /** The running job ends, and the store is told. If the call or its response is lost, the owner resyncs. */
  private async end(): Promise<Change | undefined> {
    const { walk } = this;
    const { random } = walk;
    const owner = this.pick(({ running, claim }) => running !== undefined && claim !== undefined);
    const job = owner?.running;
    if (!owner || !job) return undefined;
    owner.running = undefined;
    const kinds = ['completed', 'completed', 'completed', 'failed', 'retrying', 'retrying', 'dead'] as const;
    const kind = walk.isStrict && random.chance(0.2) ? 'blocked' : random.pick(kinds);
    const settlement: Settlement = { job, outcome: outcomeOf(job, kind, random.pick([0, 20, MAX_BACKOFF_MS])) };
    const { outcome } = settlement;
    walk.note(owner.podId, 'ends', job.id, outcome.kind);
    const fate = random.pick(['told', 'told', 'told', 'lost', 'answer lost']);
    const isTold = fate === 'lost' || (await this.tell(owner, settlement));
    if (isTold && fate !== 'told' && !(await this.beginAnew(owner, [settlement]))) return {};
    if (!isTold) return {};
    return { removes: this.isRecalled, ...(!isKept(outcome.kind) && { ends: [job.id] }) };
  }

  /** @returns whether it was heard. */
  private async tell(owner: OwnerModel, settlement: Settlement): Promise<boolean> {
    const { walk } = this;
    const take = walk.random.int(0, 3);
    const answer = await walk.guarded(owner, 'finish', (store, claim) => store.finish(claim, [settlement], take));
    if (!answer) return false;
    // Jobs that were fetched after one that is kept are given back.
    if (walk.isStrict && isKept(settlement.outcome.kind)) owner.ready = [];
    walk.fetched(owner, answer);
    return true;
  }

  private async beginAnew(owner: OwnerModel, settled: readonly Settlement[]): Promise<boolean> {
    const { walk } = this;
    const epoch = walk.nextEpoch();
    const answer = await walk.guarded(owner, 'resync', (store, claim) => store.resync(claim, epoch, settled));
    if (answer) walk.claimed(owner, answer);
    return answer !== undefined;
  }

  private async take(): Promise<Change | undefined> {
    const owner = this.pick(({ claim }) => claim !== undefined);
    if (!owner) return undefined;
    const answer = await this.walk.guarded(owner, 'take', (store, claim) => store.take(claim));
    if (answer) this.walk.fetched(owner, answer);
    return {};
  }

  private async giveBack(): Promise<Change | undefined> {
    const owner = this.pick(({ claim }) => claim !== undefined);
    if (!owner) return undefined;
    const kept = owner.running ? [owner.running.id] : [];
    const answer = await this.walk.guarded(owner, 'giveBack', async (store, claim) => {
      await store.giveBack(claim, kept);
      return true;
    });
    if (answer) owner.ready = [];
    return { removes: this.isRecalled };
  }

  private async release(): Promise<Change | undefined> {
    const { walk } = this;
    const owner = this.pick(({ claim, running }) => claim !== undefined && !running);
    if (!owner) return undefined;
    const mode =
      owner.ready.length > 0 ? 'hand-over' : walk.random.pick<ReleaseMode>(['idle', 'idle', 'hand-over', 'give-way']);
    if (await walk.guarded(owner, 'release', (store, claim) => store.release(claim, mode))) walk.lost(owner);
    return { removes: this.isRecalled };
  }

  private async renew(): Promise<Change> {
    const { walk } = this;
    const owner = walk.random.pick(walk.owners);
    const { claim, ready, running } = owner;
    const renewals = claim
      ? [{ claim, idle: !running && ready.length === 0, runningJobIds: running ? [running.id] : [] }]
      : [];
    const { lost } = await walk.storeOf(owner).renew(renewals, serving('account'));
    if (lost.length === 0) owner.isLapsed = false;
    else if (owner === walk.holder && !owner.isLapsed) walk.violate(`I3: the claim of ${owner.podId} is lost`);
    else walk.lost(owner);
    return {};
  }

  /** I3: a call under a claim that is no longer the current one is refused, and changes nothing. */
  private async lateCall(before: SeenSchedules): Promise<Change | undefined> {
    const { walk } = this;
    const owner = this.pick(({ oldClaims }) => oldClaims.length > 0);
    if (!owner) return undefined;
    const claim = walk.random.pick(owner.oldClaims);
    const store = walk.storeOf(owner);
    const [job] = before.active;
    const settlement =
      job && ({ job: { ...NO_JOB, id: job.jobId }, outcome: { kind: 'completed', value: '1' } } as const);
    const calls = {
      take: () => store.take(claim),
      giveBack: () => store.giveBack(claim, []),
      release: () => store.release(claim, 'hand-over'),
      finish: () => (settlement ? store.finish(claim, [settlement], 1) : store.take(claim)),
    };
    const name = walk.random.pick(Object.keys(calls) as (keyof typeof calls)[]);
    const error = await calls[name]().catch((thrown: unknown) => thrown);
    walk.note('  late', name, error);
    if (!(error instanceof StaleClaimError))
      walk.violate(`I3: ${name} of ${owner.podId} under epoch ${claim.epoch} was not refused as stale`);
    return {};
  }

  private async lapse(): Promise<Change> {
    await this.walk.stage.cluster.expireLeases();
    this.walk.lapseAll();
    return {};
  }

  private pick(isMeant: (owner: OwnerModel) => boolean): OwnerModel | undefined {
    const meant = this.walk.owners.filter(isMeant);
    return meant.length > 0 ? this.walk.random.pick(meant) : undefined;
  }
}

const NO_JOB: FetchedJob = {
  id: '',
  name: 'withdraw',
  data: {},
  attempt: 1,
  attemptsMade: 0,
  options: {},
  envelope: {},
  native: () => undefined,
};

/** One that must fail has no handler. */
export function outcomeOf(
  { mustFail }: FetchedJob,
  kind: Settlement['outcome']['kind'],
  delayMs: number,
): Settlement['outcome'] {
  const failure = { reason: 'because', stack: 'Error: because' };
  if (mustFail !== undefined) return { kind: 'failed', ...failure };
  if (kind === 'completed') return { kind, value: '1' };
  return kind === 'retrying' ? { kind, ...failure, delayMs } : { kind, ...failure };
}
