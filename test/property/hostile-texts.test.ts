/**
 * Texts of the right type, but hostile, in every use: an enqueue is refused with a typed error that says so, or
 * its job is accounted for: it ends, or is in a state of an entity that a pod will inspect (I5, I7, I10).
 * `SEED=n` repeats one walk, `HOSTILE_WALKS=n` makes more.
 */

import { Enqueuer } from '../../src/core/enqueue/enqueuer.js';
import type { FlowOf } from '../../src/core/enqueue/flow.js';
import { type JobRequest } from '../../src/core/enqueue/requests.js';
import { type EntityRef, entityKey } from '../../src/core/model/entity.js';
import { AtomicQueuesError } from '../../src/core/model/errors.js';
import type { FetchedJob, Settlement } from '../../src/core/model/job.js';
import { OutcomeUnknownError, StoreRefusedError } from '../../src/core/model/store-errors.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { Propagation } from '../../src/core/payload/caller-context.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { ManualClock } from '../support/clock.js';
import type { Cluster } from '../support/contract-pods.js';
import { createMemoryStores } from '../support/memory-stores.js';
import { Random } from '../support/random.js';
import { RedisCluster } from '../support/redis-cluster.js';

const TEXTS = [
  ...[
    '',
    ' ',
    '0',
    '-1',
    '42',
    '1e999',
    'NaN',
    'null',
    'true',
    '__proto__',
    'constructor',
    'a:b',
    '{x}',
    '%',
    '$',
    '*',
  ],
  ...['\u0000', 'a\u0000b', '\u007f', '\n', '\r\n', '"', '\\', '\\ud83d', '\\u0000', '\u2028', '\ufffd', '😀', 'ü'],
  ...['Anna \ud83d', '\ude00x', '\ud83d\ud83d\ude00', 'wait', 'repeat', 'meta', 'x'.repeat(300), '['.repeat(5000)],
];
const TYPES = ['skipping', 'blocking', 'letter', 'ranked'] as const;
const STATES = ['waiting', 'active', 'delayed', 'waiting-children'] as const;

class Walk {
  private readonly entities = new Map<string, EntityRef>();
  private readonly open = new Set<string>();
  /** All roots, and single jobs, that were ever accepted. */
  private readonly known = new Set<string>();
  private epoch = 0;
  private text = '';

  private constructor(
    private readonly random: Random,
    private readonly cluster: Cluster,
    private readonly store: EntityStore,
    private readonly enqueuer: Enqueuer,
  ) {}

  static async run(random: Random, cluster: Cluster, config: EngineConfig): Promise<void> {
    const store = await cluster.pod(config);
    const context = { keys: ['user'], get: () => ({ user: walk.text }), run: <T>(_: unknown, run: () => T) => run() };
    const manager = { forEnqueue: () => undefined, onSentAway: () => {} } as never;
    const clock = new ManualClock();
    const propagation = new Propagation(context, undefined);
    const walk = new Walk(
      random,
      cluster,
      store,
      new Enqueuer({ store, config, manager, clock, propagation, added: () => {} }),
    );
    for (let step = 0; step < 40; step++) {
      await walk.step();
      if (step % 8 === 7) await walk.checkDue();
    }
    await walk.calm();
  }

  private pick(): string {
    return this.random.pick(TEXTS);
  }

  private async step(): Promise<void> {
    const what = this.random.weighted({ enqueue: 5, flow: 3, work: 8, decide: 2, drop: 1, replay: 2 });
    if (what === 'enqueue') await this.enqueue();
    else if (what === 'flow') await this.enqueueFlow();
    else if (this.entities.size === 0) return;
    else if (what === 'replay') await this.replay();
    else await this.operate(what, this.random.pick([...this.entities.values()]));
  }

  private operate(what: 'work' | 'decide' | 'drop', of: EntityRef): Promise<void> {
    if (what === 'work') return this.work(of, false);
    return what === 'decide' ? this.decide(of) : this.drop(of);
  }

  private request(isRoot = true): JobRequest {
    const { random } = this;
    const entityType = random.pick(TYPES);
    const options: Record<string, unknown> = {};
    if (isRoot && random.chance(0.2)) options['jobId'] = this.pick();
    if (isRoot && random.chance(0.2)) options['idempotencyKey'] = this.pick();
    if (random.chance(0.2)) options['delay'] = 60_000;
    if (entityType === 'ranked' && random.chance(0.5)) options['priority'] = random.int(1, 9);
    const data = { [this.pick()]: this.pick() };
    const name = random.chance(0.5) ? 'plain' : this.pick();
    return {
      entityType,
      entityId: random.chance(0.5) ? this.random.pick(['a', 'b']) : this.pick(),
      name,
      data,
      options,
    };
  }

  private async enqueue(): Promise<void> {
    this.text = this.pick();
    await this.told(async () => {
      const { jobId, entityType: type, entityId: id } = await this.enqueuer.enqueue(this.request());
      this.accepted({ type, id }, jobId);
    });
  }

  private async enqueueFlow(): Promise<void> {
    this.text = this.pick();
    const node = (depth: number): FlowOf<JobRequest> => {
      const own = Array.from({ length: depth === 0 ? 0 : this.random.int(1, 2) }, () => node(depth - 1));
      const onFailure = this.random.pick(['failParent', 'tellParent'] as const);
      return { job: this.request(depth === 2), ...(depth < 2 && { onFailure }), children: () => own };
    };
    await this.told(async () => {
      const root = await this.enqueuer.enqueueFlow(node(2));
      // A repeated id or key adds nothing. The ids of its children are those of the first time, if it was a flow.
      if (this.known.has(`${root.entityType}:${root.entityId} ${root.jobId}`)) return;
      const added = [root];
      for (let one = added.pop(); one; one = added.pop()) {
        this.accepted({ type: one.entityType, id: one.entityId }, one.jobId);
        added.push(...one.children);
      }
    });
  }

  /** Each refusal comes before any write, is typed, and is not an accident of the store. */
  private async told(enqueue: () => Promise<void>): Promise<void> {
    try {
      await enqueue();
    } catch (error) {
      expect(error).toBeInstanceOf(AtomicQueuesError);
      if (error instanceof OutcomeUnknownError || error instanceof StoreRefusedError) throw error;
    }
  }

  private accepted(of: EntityRef, jobId: string): void {
    this.entities.set(entityKey(of), of);
    this.open.add(`${entityKey(of)} ${jobId}`);
    this.known.add(`${of.type}:${of.id} ${jobId}`);
  }

  private ended(of: EntityRef, jobId: string): void {
    this.open.delete(`${entityKey(of)} ${jobId}`);
  }

  private async work(of: EntityRef, isCalm: boolean): Promise<void> {
    const seen = await this.store.tryClaim(of, ++this.epoch);
    if (typeof seen === 'string') return;
    let { jobs } = seen;
    for (let n = 0; jobs[0] && n < (isCalm ? 100 : 2); n++) {
      const [job] = jobs;
      const settlement = this.settlement(of, job, isCalm);
      ({ jobs } = await this.store.finish(seen.claim, [settlement], 1));
      if (!['retrying', 'blocked'].includes(settlement.outcome.kind)) this.ended(of, job.id);
    }
    await this.store.release(seen.claim, 'hand-over');
  }

  private settlement({ type }: EntityRef, job: FetchedJob, isCalm: boolean): Settlement {
    const bad = { reason: this.pick(), stack: this.pick() };
    const final = type === 'blocking' ? 'blocked' : type === 'letter' ? 'dead' : 'failed';
    const kind = isCalm ? 'completed' : this.random.pick(['completed', 'retrying', final, final] as const);
    if (kind === 'completed') return { job, outcome: { kind, value: JSON.stringify(this.pick()) } };
    if (kind === 'retrying') return { job, outcome: { kind, ...bad, delayMs: 0 } };
    return { job, outcome: { kind, ...bad, thrown: { name: this.pick(), message: bad.reason, code: this.pick() } } };
  }

  private async decide(of: EntityRef): Promise<void> {
    const { blockedBy } = await this.store.control.status(of);
    const how = this.random.pick(['retry', 'skip', 'drop'] as const);
    if ((await this.store.control.unblock(of, how)) && how === 'drop') this.ended(of, blockedBy?.jobId ?? '');
  }

  private async drop(of: EntityRef): Promise<void> {
    const lists = await Promise.all(STATES.map(state => this.store.control.list(of, state, 0, 1000)));
    await this.store.control.drop(of);
    for (const { jobId } of lists.flat()) this.ended(of, jobId);
  }

  private async replay(): Promise<void> {
    for (const { letterId, entityId: id } of await this.store.deadLetters.list('letter', 0, 2)) {
      const jobId = await this.store.deadLetters.replay('letter', letterId);
      if (jobId !== undefined) this.accepted({ type: 'letter', id }, jobId);
    }
  }

  /** I7: an entity with something to do, now or later, is due at some time, unless it waits for the operator's decision. */
  private async checkDue(): Promise<void> {
    for (const of of this.entities.values()) {
      const { waiting, active, delayed, blockedBy } = await this.store.control.status(of);
      if (blockedBy === undefined && waiting + active + delayed > 0)
        expect([of, await this.cluster.dueScore(of)]).toEqual([of, expect.any(Number)]);
    }
  }

  /** From now on nothing fails: every job ends. */
  private async calm(): Promise<void> {
    await this.checkDue();
    for (let round = 0; round < 6; round++) {
      for (const of of this.entities.values()) {
        await this.cluster.ripenDelayed(of);
        await this.store.control.unblock(of, 'retry');
        await this.work(of, true);
      }
    }
    expect([...this.open]).toEqual([]);
    for (const of of this.entities.values()) {
      const left = { waiting: 0, active: 0, delayed: 0, waitingForChildren: 0 };
      expect([of, await this.store.control.status(of)]).toMatchObject([of, left]);
    }
  }
}

const config = resolveOptions({
  entities: {
    skipping: {},
    blocking: { onExhausted: 'block' },
    letter: { onExhausted: 'deadLetter' },
    ranked: { ordering: 'relaxed' },
  },
});

describe.each([
  ['memory', () => createMemoryStores()],
  ['redis', async () => new RedisCluster()],
] as const)('hostile texts: %s', (_, createCluster) => {
  const seeds = process.env['SEED']
    ? [Number(process.env['SEED'])]
    : Array.from(
        { length: Number(process.env['HOSTILE_WALKS'] ?? 6) },
        (_, n) => 1 + n + Math.floor(Math.random() * 1e9),
      );

  test.each(seeds)('I5, I7, I10: every job is accounted for (SEED=%d)', async seed => {
    const cluster = await createCluster();
    try {
      await Walk.run(new Random(seed), cluster, config);
    } finally {
      await cluster.close();
    }
  });
});
