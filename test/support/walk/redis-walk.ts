/**
 * A walk over the steps of the protocol on real Redis: models of owners call the stores of several pods, one call at a
 * time, and the same checkers as in memory check what each call has changed. Deterministic but for the tokens.
 * Neighbour: `redis-actions.ts` chooses what happens.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import { type EntityRef, entityKey } from '../../../src/core/model/entity.js';
import type { FetchedJob, Settlement } from '../../../src/core/model/job.js';
import { StaleClaimError } from '../../../src/core/model/job-errors.js';
import { resolveOptions } from '../../../src/core/options/resolve.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import { Random } from '../random.js';
import { RedisCluster } from '../redis-cluster.js';
import { serving } from '../settlements.js';
import { EntityChecker } from './entity-checker.js';
import { OwnerModel } from './owner-model.js';
import { snapshotOfRedis } from './redis-snapshot.js';
import type { Snapshot } from './snapshot.js';
import { checkEnd, checkStart, type Running } from './starts.js';
import { describe, readCall, readSettlement, show } from './steps.js';

const TRACE_LENGTH = 60;
export const MAX_STALLED = 1;
/** Leases run out by hand only. */
const LEASE_SECONDS = 60;

export class RedisWalk {
  readonly random: Random;
  readonly cluster = new RedisCluster();
  readonly config = resolveOptions({ workerDefaults: { heartbeatTTL: LEASE_SECONDS, maxStalledCount: MAX_STALLED } });
  readonly entities: readonly EntityRef[] = ['1', '2'].map(id => ({ type: 'account', id }));
  readonly stores = new Map<string, EntityStore>();
  readonly owners: OwnerModel[] = [];
  readonly checkers = new Map<string, EntityChecker>();
  readonly added = new Set<number>();
  private readonly numbers = new Map<string, number>();
  private readonly trace: string[] = [];
  private violation: string | undefined;
  private epochs = 0;
  private jobs = 0;
  private madePods = 0;

  constructor(readonly seed: number) {
    this.random = new Random(seed);
  }

  readonly violate = (what: string): void => {
    this.violation ??= what;
  };

  /** @throws with the seed and the trace, when an invariant was violated. */
  check(): void {
    if (this.violation === undefined) return;
    throw new Error(`SEED=${this.seed}: ${this.violation}\n${this.trace.slice(-TRACE_LENGTH).join('\n')}`);
  }

  note(...what: unknown[]): void {
    this.trace.push(what.join(' '));
  }

  nextEpoch(): number {
    return ++this.epochs;
  }

  nextJob(): number {
    return this.jobs++;
  }

  async startPod(): Promise<string> {
    const podId = `p${++this.madePods}`;
    this.stores.set(podId, await this.cluster.pod(this.config, podId));
    for (const entity of this.entities) this.owners.push(new OwnerModel(podId, entity));
    return podId;
  }

  /** A pod is gone, with what it knew. Its claims and what it had fetched are not. */
  async crash(podId: string): Promise<void> {
    await this.stores.get(podId)?.close();
    this.stores.delete(podId);
    for (const owner of this.owners.filter(other => other.podId === podId))
      this.owners.splice(this.owners.indexOf(owner), 1);
  }

  checker(entity: EntityRef): EntityChecker {
    const word = entityKey(entity);
    let checker = this.checkers.get(word);
    if (!checker) {
      checker = new EntityChecker(word, this.violate);
      this.checkers.set(word, checker);
    }
    return checker;
  }

  see(entity: EntityRef): Promise<Snapshot> {
    return snapshotOfRedis(this.cluster, entity, id => this.numbers.get(`${entity.id}:${id}`) ?? -1);
  }

  /** One call, and what it has done. @returns its response, or undefined if it was refused as stale. */
  async call<M extends 'add' | 'tryClaim' | 'resync' | 'take' | 'finish' | 'release'>(
    { podId, entity }: OwnerModel,
    method: M,
    ...args: Parameters<EntityStore[M]>
  ): Promise<Awaited<ReturnType<EntityStore[M]>> | undefined> {
    const store = this.stores.get(podId);
    const before = await this.see(entity);
    const run = store?.[method] as (...args: unknown[]) => Promise<unknown>;
    let answer: unknown;
    let error: unknown;
    try {
      answer = await run.apply(store, args);
    } catch (thrown) {
      error = thrown;
      if (!(thrown instanceof StaleClaimError)) this.violate(`${method} of ${podId} failed: ${thrown}`);
    }
    const read = readCall({ method, args });
    if (read.added && answer) this.remember(entity, read.added.n, (answer as { jobId: string }).jobId, before);
    const after = await this.see(entity);
    const step = { podId, ...read, before, after, error, nowMs: Date.now() };
    this.note(podId, method, entity.id, describe(step), error ?? '→', show(after));
    const checker = this.checker(entity);
    checker.observe(step);
    checker.endOfBatch();
    return answer as Awaited<ReturnType<EntityStore[M]>> | undefined;
  }

  /** A custom id means the first job that has it, as long as that job exists. */
  private remember(entity: EntityRef, n: number, jobId: string, before: Snapshot): void {
    const key = `${entity.id}:${jobId}`;
    const known = this.numbers.get(key);
    const isThere =
      known !== undefined &&
      [before.wait, before.active, before.delayed, before.failed].some(jobs => jobs.includes(known));
    if (!isThere) this.numbers.set(key, n);
    this.added.add(n);
  }

  async renew(podId: string): Promise<void> {
    const owners = this.owners.filter(owner => owner.podId === podId && owner.claim !== undefined);
    const renewals = owners.flatMap(({ claim, ready, running }) =>
      claim ? [{ claim, idle: !running && ready.length === 0, runningJobIds: running ? [running.id] : [] }] : [],
    );
    const seen = await Promise.all(owners.map(({ entity }) => this.see(entity)));
    const renewed = await this.stores.get(podId)?.renew(renewals, serving('account'));
    this.note(podId, 'renews', JSON.stringify(renewals), JSON.stringify(renewed));
    for (const [at, owner] of owners.entries()) {
      const isOurs = seen[at]?.owner?.podId === podId && seen[at].owner.epoch >= (owner.claim?.epoch ?? 0);
      const isLost = renewed?.lost.includes(at) === true;
      if (isOurs === isLost) this.violate(`I3: a renewal of ${podId} is wrong about ${entityKey(owner.entity)}`);
      if (isLost) owner.lost();
      else owner.isLapsed = false;
    }
  }

  async start(owner: OwnerModel): Promise<void> {
    const { podId, entity, claim } = owner;
    const job = owner.ready.shift();
    if (!job || !claim) return;
    owner.running = job;
    // One that must fail has no handler.
    this.tokens.delete(owner);
    if (job.mustFail !== undefined) return;
    const now = { monotonicMs: 0, wallMs: 0 };
    const run = runOf(owner, claim, (job.data as { n: number }).n);
    this.note(podId, 'starts', run.n, 'of', run.word);
    const beside = this.owners.flatMap(other =>
      other !== owner && other.running && other.entity === entity ? (this.tokens.get(other) ?? []) : [],
    );
    const start = {
      ...run,
      attempt: job.attempt,
      made: job.attemptsMade,
      isDraining: false,
      grant: { token: run.token, sentAt: now },
      now,
      seen: await this.see(entity),
      serverNowMs: Date.now(),
      beside,
    };
    this.tokens.set(owner, run);
    checkStart(this.checker(entity), start, LEASE_SECONDS * 1000, this.violate);
  }

  private readonly tokens = new Map<OwnerModel, Running>();

  /** The running handler returns, or throws. @returns the end to send, unless the entity is lost. */
  end(owner: OwnerModel, kind: 'completed' | 'failed', backoffMs: number): Settlement | undefined {
    const { running: job, claim, entity } = owner;
    owner.running = undefined;
    if (!job || !claim) return undefined;
    const outcome =
      kind === 'completed' && job.mustFail === undefined
        ? ({ kind: 'completed', value: '1' } as const)
        : outcomeOfFailure(job, backoffMs);
    const settlement = { job, outcome };
    const end = readSettlement(settlement);
    const run = runOf(owner, claim, end.n);
    checkEnd(this.checker(entity), run, end, [], MAX_STALLED, this.violate);
    owner.unconfirmed.push(settlement);
    return settlement;
  }
}

function outcomeOfFailure({ mustFail, attemptsMade, options }: FetchedJob, delayMs: number): Settlement['outcome'] {
  const failure = { reason: 'because', stack: 'Error: because' };
  const isLast = mustFail !== undefined || attemptsMade + 1 >= Number(options['attempts'] ?? 1);
  return isLast ? { kind: 'failed', ...failure } : { kind: 'retrying', ...failure, delayMs };
}

function runOf({ podId, entity }: OwnerModel, claim: Claim, n: number): Running {
  return { podId, word: entityKey(entity), n, token: Number(claim.token) };
}
