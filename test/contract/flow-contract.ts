/**
 * The part of a store's contract about flows: jobs that run after others, on other entities, and read their results.
 * Neighbour: `intake-contract.ts`, jobs that wait for no other.
 */

import { type FlowOf, planFlow } from '../../src/core/enqueue/flow.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import { InvalidOptionError } from '../../src/core/model/errors.js';
import type { FetchedJob, JobOptions, Settlement } from '../../src/core/model/job.js';
import { StaleClaimError } from '../../src/core/model/job-errors.js';
import { BacklogFullError } from '../../src/core/model/store-errors.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Claimed } from '../../src/core/ports/claims.js';
import type { IntakeResult } from '../../src/core/ports/intake.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, twoPods } from '../support/contract-pods.js';
import { claimOf, done, numbers, serving, withdrawal } from '../support/settlements.js';

interface Asked {
  readonly name: string;
  readonly of: EntityRef;
  readonly n: number;
  readonly options: JobOptions;
}
type Flow = FlowOf<Asked>;

export function flowContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, flows: ${name}`, () => {
    const config = resolveOptions({
      entities: {
        account: { onExhausted: 'block' },
        letter: { onExhausted: 'deadLetter' },
        small: { maxPending: 2 },
      },
    });
    const entity = (id: string, type = 'account'): EntityRef => ({ type, id });
    const [up, one, two] = [entity('up:1 {x}'), entity('one:1 {x}'), entity('two')];
    let cluster: Cluster;
    let a: EntityStore;
    let b: EntityStore;
    let epoch: number;

    beforeEach(async () => {
      epoch = 0;
      ({ cluster, a, b } = await twoPods(createCluster, config));
    });
    afterEach(() => cluster.close());

    const node = (
      of: EntityRef,
      n: number,
      children: readonly Flow[] = [],
      more: Partial<Flow & Asked> = {},
    ): Flow => ({
      job: { name: 'withdraw', of, n, options: more.options ?? {} },
      onFailure: more.onFailure,
      children: () => children,
    });
    /** Adds a flow on pod A, which claims nothing with it. */
    const add = (flow: Flow): Promise<IntakeResult[]> => {
      const plan = planFlow(flow, ({ of, n, options }) => withdrawal(config, of, { n }, options));
      return Promise.all(a.addFlow({ id: plan.id, jobs: plan.jobs.map(job => ({ ...job, hint: 'route-only' })) }));
    };
    const claim = async (of: EntityRef, pod = a): Promise<Claimed> => claimOf(await pod.tryClaim(of, ++epoch));
    const enter = (of: EntityRef, n: number) => a.add(withdrawal(config, of, { n }), 'route-only');
    const end = (claimed: Claimed, kind: 'completed' | 'failed' | 'dead' | 'blocked' = 'completed', take = 1) =>
      a.finish(claimed.claim, [ended(claimed.jobs[0], kind)], take);
    /** Works the next job of an entity to its end, and gives the entity up. */
    const work = async (of: EntityRef, kind: 'completed' | 'failed' | 'dead' = 'completed'): Promise<void> => {
      const claimed = await claim(of);
      await end(claimed, kind, 0);
      await a.release(claimed.claim, 'hand-over');
    };
    const status = (of: EntityRef) => b.control.status(of);

    test('a flow whose root may be dropped is not a known flow: it is refused until the owner has told', async () => {
      const flow = node(up, 0, [node(one, 1)], { options: { jobId: 'root' } });
      await add(flow);
      await work(one);
      const claimed = await claim(up);
      await b.control.drop(up);
      await expect(add(flow)).rejects.toMatchObject({ code: 'STORE_REFUSED' });
      await a.giveBack(claimed.claim, []);
      await add(flow);
      expect(await status(up)).toMatchObject({ waitingForChildren: 1 });
    });

    test('a parent waits for its children, and its entity needs no worker', async () => {
      await add(node(up, 0, [node(one, 1), node(two, 2)]));
      expect(await status(up)).toMatchObject({ waitingForChildren: 1, waiting: 0, active: 0 });
      expect(await cluster.dueScore(up)).toBeUndefined();
      expect(await a.tryClaim(up, ++epoch)).toBe('later');
      expect(await b.control.list(up, 'waiting-children', 0, 9)).toMatchObject([{ data: { n: 0 } }]);
      expect(await b.control.list(up, 'waiting-children', 1, 9)).toEqual([]);
      expect(numbers((await claim(one)).jobs)).toEqual([1]);
      expect(numbers((await claim(two)).jobs)).toEqual([2]);
    });

    test('children are routed like any job: the step claims an unowned entity and brings the first child', async () => {
      const flow = node(up, 0, [node(one, 1), node(one, 2), node(two, 3)]);
      const plan = planFlow(flow, ({ of, n }) => withdrawal(config, of, { n }));
      const hint = { epoch: 1, mayClaim: true, atOnce: 1 };
      const answers = await Promise.all(
        a.addFlow({
          id: plan.id,
          jobs: plan.jobs.map(job => ({ ...job, hint: job.isParent ? 'route-only' : hint })),
        }),
      );
      expect(answers.map(({ route }) => route)).toEqual(['parent', 'claimed', 'local', 'claimed']);
      const [, first, , third] = answers;
      expect(numbers(claimOf(first as IntakeResult).jobs)).toEqual([1]);
      expect(numbers(claimOf(third as IntakeResult).jobs)).toEqual([3]);
      expect(numbers((await end(claimOf(first as IntakeResult))).jobs)).toEqual([2]);
    });

    test('I7: the step that ends the last child makes the parent of an unowned entity due', async () => {
      await add(node(up, 0, [node(one, 1), node(two, 2)]));
      await work(one);
      expect(await cluster.dueScore(up)).toBeUndefined();
      await work(two);
      expect(await a.due('account', 0, 9)).toContainEqual(up);
      expect(numbers((await claim(up)).jobs)).toEqual([0]);
      expect(await status(up)).toMatchObject({ waitingForChildren: 0, active: 1 });
    });

    test('I7, race 10: the owner of the parent is woken, even if its claim is dormant', async () => {
      const hint = { epoch: ++epoch, mayClaim: true, atOnce: 1 };
      const owner = claimOf(await b.add(withdrawal(config, up, { n: 9 }), hint));
      await b.finish(owner.claim, [done(owner.jobs[0])], 1);
      await b.renew([{ claim: owner.claim, idle: true }], serving('account'));
      await add(node(up, 0, [node(one, 1), node(two, 2)]));
      // Pod B was called for the children.
      await b.wakeUps([]);
      await work(one);
      await a.requestWorker(entity('other'));
      expect(await b.wakeUps(['account'])).toEqual([entity('other')]);
      await work(two);
      expect(await b.wakeUps([])).toEqual([up]);
      expect(await b.take(owner.claim)).toMatchObject({ isReactivated: true, jobs: [{ data: { n: 0 } }] });
    });

    test('I6: a parent joins the end of its queue, behind a job that is retried', async () => {
      await enter(up, 8);
      await enter(up, 9);
      const owner = await claim(up);
      await add(node(up, 0, [node(one, 1)]));
      const again = { kind: 'retrying', reason: 'no', stack: 'no', delayMs: 600_000 } as const;
      await a.finish(owner.claim, [{ job: done(owner.jobs[0]).job, outcome: again }], 1);
      await work(one);
      expect((await b.control.list(up, 'waiting', 0, 9)).map(({ data }) => data)).toEqual([
        { n: 8 },
        { n: 9 },
        { n: 0 },
      ]);
      expect((await a.take(owner.claim)).jobs).toEqual([]);
    });

    test('I6: children of one entity run in their order, then later jobs, then the parent', async () => {
      await add(node(up, 0, [node(up, 1), node(up, 2), node(up, 3, [node(up, 4)])]));
      await enter(up, 9);
      const claimed = await claim(up);
      const seen = numbers(claimed.jobs);
      for (let jobs = claimed.jobs; jobs.length > 0; ) {
        jobs = (await a.finish(claimed.claim, [done(jobs[0])], 1)).jobs;
        seen.push(...numbers(jobs));
      }
      expect(seen).toEqual([1, 2, 4, 9, 3, 0]);
      expect(await a.release(claimed.claim, 'idle')).toBe(true);
      expect(await status(up)).toMatchObject({ waiting: 0, active: 0, waitingForChildren: 0 });
    });

    test('a parent sees the results of its children, in the order given, under its claim only', async () => {
      const [, first, second] = await add(
        node(up, 0, [node(one, 1), node(two, 2, [], { onFailure: 'tellParent' }), node(one, 3)]),
      );
      await work(two, 'failed');
      await work(one);
      expect((await status(up)).waitingForChildren).toBe(1);
      await work(one);
      const { jobs, claim: held } = await claim(up);
      const results = await jobs[0]?.children?.();
      expect(jobs[0]?.mustFail).toBeUndefined();
      expect(results).toMatchObject([
        {
          entityType: 'account',
          entityId: one.id,
          jobId: first?.jobId,
          name: 'withdraw',
          outcome: { kind: 'completed', value: 'ok' },
        },
        { entityId: two.id, jobId: second?.jobId, outcome: { kind: 'failed', reason: 'because' } },
        { entityId: one.id, outcome: { kind: 'completed', value: 'ok' } },
      ]);
      await a.release(held, 'hand-over');
      await expect(jobs[0]?.children?.()).rejects.toThrow(StaleClaimError);
    });

    test('a job without children has none', async () => {
      await add(node(one, 1));
      expect((await claim(one)).jobs[0]?.children).toBeUndefined();
    });

    test('a failed child fails its parent, which names it, once all children have ended', async () => {
      const [, first] = await add(node(up, 0, [node(one, 1), node(two, 2)]));
      await work(one, 'failed');
      expect(await status(up)).toMatchObject({ waiting: 0, waitingForChildren: 1 });
      await work(two);
      const [parent] = (await claim(up)).jobs;
      expect(parent?.hasFailedChild).toBe(true);
      expect(parent?.mustFail).toMatch(
        new RegExp(`^Child ${first?.jobId} \\("withdraw"\\) of account ".*" failed: because$`),
      );
    });

    test('a parent that blocks its entity for its child runs when an operator retries it', async () => {
      await add(node(up, 0, [node(one, 1)]));
      await work(one, 'failed');
      await end(await claim(up), 'blocked');
      expect((await status(up)).blockedBy).toMatchObject({ reason: 'because' });
      expect(await b.control.unblock(up, 'retry')).toBe(true);
      await cluster.expireLeases();
      const { jobs, claim: held } = await claim(up);
      expect(jobs[0]?.mustFail).toBeUndefined();
      expect(await jobs[0]?.children?.()).toMatchObject([{ outcome: { kind: 'failed', reason: 'because' } }]);
      await a.finish(held, [done(jobs[0])], 1);
      expect(await a.release(held, 'idle')).toBe(true);
      expect(await status(up)).toMatchObject({ waiting: 0, active: 0, failed: 0 });
    });

    test.each(['completed', 'failed'] as const)(
      'I5: an end (%s) that arrives twice counts once for the parent',
      async kind => {
        await add(node(up, 0, [node(one, 1, [], { onFailure: 'tellParent' }), node(two, 2)]));
        const child = await claim(one);
        await end(child, kind, 0);
        const again = await a.resync(child.claim, ++epoch, [ended(child.jobs[0], kind)]);
        expect(await status(up)).toMatchObject({ waiting: 0, waitingForChildren: 1 });
        await work(two);
        await a.resync(again.claim, ++epoch, [ended(child.jobs[0], kind)]);
        expect(await status(up)).toMatchObject({ waiting: 1, waitingForChildren: 0 });
        expect(await (await claim(up)).jobs[0]?.children?.()).toMatchObject([{ outcome: { kind } }, {}]);
      },
    );

    test('I5: an end that arrives again after an operator has retried the parent does not affect it', async () => {
      await add(node(up, 0, [node(one, 1)]));
      const child = await claim(one);
      await end(child, 'failed', 0);
      const parent = await claim(up);
      await end(parent, 'blocked');
      await b.control.unblock(up, 'retry');
      await a.resync(child.claim, ++epoch, [ended(child.jobs[0], 'failed')]);
      const { jobs } = await a.take(parent.claim);
      expect(numbers(jobs)).toEqual([0]);
      expect(jobs[0]?.mustFail).toBeUndefined();
    });

    test('I3: an end under an old claim does not affect the parent', async () => {
      await add(node(up, 0, [node(one, 1)]));
      const child = await claim(one);
      await cluster.expireLeases();
      const taken = await claim(one, b);
      await expect(end(child)).rejects.toThrow(StaleClaimError);
      expect((await status(up)).waitingForChildren).toBe(1);
      await b.finish(taken.claim, [done(taken.jobs[0])], 0);
      expect(await status(up)).toMatchObject({ waiting: 1, waitingForChildren: 0 });
    });

    test('a child that is retried, or blocks, keeps its parent waiting', async () => {
      await add(node(up, 0, [node(one, 1, [], { options: { attempts: 2 } })]));
      const child = await claim(one);
      const again = { kind: 'retrying', reason: 'no', stack: 'no', delayMs: 0 } as const;
      const { jobs } = await a.finish(child.claim, [{ job: done(child.jobs[0]).job, outcome: again }], 1);
      expect((await status(up)).waitingForChildren).toBe(1);
      await a.finish(child.claim, [ended(jobs[0], 'blocked')], 1);
      expect((await status(up)).waitingForChildren).toBe(1);
      expect(await b.control.unblock(one, 'drop')).toBe(true);
      expect(await status(up)).toMatchObject({ waiting: 1, waitingForChildren: 0 });
      expect((await claim(up)).jobs[0]?.mustFail).toMatch(/ failed: it was removed$/);
    });

    test('a child that becomes a dead letter has failed; the letter has no parent', async () => {
      const child = entity('1', 'letter');
      await add(node(up, 0, [node(child, 1, [], { onFailure: 'tellParent' })]));
      await work(child, 'dead');
      const parent = await claim(up);
      expect(await parent.jobs[0]?.children?.()).toMatchObject([{ outcome: { kind: 'failed', reason: 'because' } }]);
      const [letter] = await b.deadLetters.list('letter', 0, 9);
      await b.deadLetters.replay('letter', letter?.letterId ?? '');
      await work(child);
      expect(await status(up)).toMatchObject({ waiting: 0, active: 1 });
    });

    test('a parent that becomes a dead letter has its results again when it is replayed', async () => {
      const parent = entity('1', 'letter');
      await add(node(parent, 0, [node(one, 1), node(two, 2)]));
      await work(one);
      await work(two, 'failed');
      await work(parent, 'dead');
      const [letter] = await b.deadLetters.list('letter', 0, 9);
      await b.deadLetters.replay('letter', letter?.letterId ?? '');
      const { jobs, claim: held } = await claim(parent);
      expect(jobs[0]?.mustFail).toBeUndefined();
      expect(await jobs[0]?.children?.()).toMatchObject([
        { outcome: { kind: 'completed', value: 'ok' } },
        { outcome: { kind: 'failed', reason: 'because' } },
      ]);
      await a.finish(held, [done(jobs[0])], 0);
      expect(await b.deadLetters.list('letter', 0, 9)).toEqual([]);
    });

    test('a drop fails the parents of removed jobs, fetched ones included', async () => {
      await add(node(up, 0, [node(one, 1), node(one, 2), node(one, 3, [], { options: { delay: 60_000 } })]));
      const child = await claim(one);
      const { jobs } = await a.finish(child.claim, [done(child.jobs[0])], 1);
      await b.control.drop(one);
      expect((await status(up)).waitingForChildren).toBe(1);
      expect(numbers(jobs)).toEqual([2]);
      await a.giveBack(child.claim, []);
      expect(await status(one)).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
      const parent = await claim(up);
      expect(await parent.jobs[0]?.children?.()).toMatchObject([
        { outcome: { kind: 'completed' } },
        { outcome: { kind: 'failed', reason: 'it was removed' } },
        { outcome: { kind: 'failed', reason: 'it was removed' } },
      ]);
      expect(parent.jobs[0]?.hasFailedChild).toBe(true);
    });

    test('I7: the drop of a last child calls a pod for its parent', async () => {
      await add(node(up, 0, [node(one, 1)]));
      await enter(up, 9);
      await b.control.drop(one);
      expect(await a.due('account', 0, 9)).toContainEqual(up);
      expect((await b.control.list(up, 'waiting', 0, 9)).map(({ data }) => data)).toEqual([{ n: 9 }, { n: 0 }]);
      expect(await cluster.dueScore(one)).toBeUndefined();
    });

    test('a parent that is dropped tells its own parent, and its children run without it', async () => {
      await add(node(up, 0, [node(two, 1, [node(one, 2), node(two, 3)])]));
      await b.control.drop(two);
      expect(await status(two)).toMatchObject({ waiting: 0, waitingForChildren: 0 });
      expect(await status(up)).toMatchObject({ waiting: 1, waitingForChildren: 0 });
      expect((await claim(up)).jobs[0]?.mustFail).toMatch(/ of account "two" failed: it was removed$/);
      await work(one);
      expect(await status(two)).toMatchObject({ waiting: 0, active: 0, waitingForChildren: 0 });
      expect(await cluster.dueScore(two)).toBeUndefined();
    });

    test('a parent with a delay is due that long after the end of its last child', async () => {
      await add(node(up, 0, [node(one, 1)], { options: { delay: 60_000 } }));
      await work(one);
      expect(await status(up)).toMatchObject({ delayed: 1, waitingForChildren: 0 });
      expect(await cluster.dueInMs(up)).toBeGreaterThan(50_000);
      await cluster.ripenDelayed(up);
      expect(numbers((await claim(up)).jobs)).toEqual([0]);
    });

    test('a parent with a delay is due that long after the removal of its last child', async () => {
      await add(node(up, 0, [node(one, 1)], { options: { delay: 60_000 } }));
      await a.control.drop(one);
      expect(await status(up)).toMatchObject({ delayed: 1, waiting: 0, waitingForChildren: 0 });
      expect(await cluster.dueInMs(up)).toBeGreaterThan(50_000);
      await cluster.ripenDelayed(up);
      expect((await claim(up)).jobs).toMatchObject([{ data: { n: 0 }, hasFailedChild: true }]);
    });

    test('in a flow within a flow each level waits for the one below it', async () => {
      const mid = entity('mid');
      const added = await add(node(up, 0, [node(mid, 1, [node(one, 2), node(two, 3)]), node(one, 4)]));
      const id = added[0]?.jobId;
      expect(added.map(({ jobId }) => jobId)).toEqual([id, `${id}.0`, `${id}.0.0`, `${id}.0.1`, `${id}.1`]);
      for (const child of [one, one, two]) await work(child);
      expect(await status(up)).toMatchObject({ waiting: 0, waitingForChildren: 1 });
      const claimed = await claim(mid);
      expect(await claimed.jobs[0]?.children?.()).toMatchObject([{ entityId: one.id }, { entityId: two.id }]);
      await end(claimed);
      expect(numbers((await claim(up)).jobs)).toEqual([0]);
    });

    test('a flow adds nothing if one entity has no room; waiting parents take room', async () => {
      const small = entity('1', 'small');
      const flow = () => node(small, 0, [node(one, 1), node(small, 2)]);
      await add(flow());
      await expect(add(node(up, 0, [node(one, 3), node(small, 4)]))).rejects.toThrow(BacklogFullError);
      await expect(add(flow())).rejects.toMatchObject({ code: 'BACKLOG_FULL', entityType: 'small' });
      await expect(enter(small, 5)).rejects.toThrow(BacklogFullError);
      expect(await status(up)).toMatchObject({ waitingForChildren: 0 });
      expect(await status(one)).toMatchObject({ waiting: 1 });
      expect(await status(small)).toMatchObject({ waiting: 1, waitingForChildren: 1 });
    });

    test('a flow with a known root adds nothing, and returns the ids of the first time', async () => {
      const flow = (n: number, options: JobOptions) => add(node(up, n, [node(one, n)], { options }));
      const ids = async (added: Promise<IntakeResult[]>) => (await added).map(({ jobId }) => jobId);
      expect(await ids(flow(0, { jobId: 'x' }))).toEqual(['x', 'x.0']);
      expect(await ids(flow(1, { jobId: 'x' }))).toEqual(['x', 'x.0']);
      expect(await status(one)).toMatchObject({ waiting: 1 });
      const keyed = { idempotencyKey: 'k', deduplication: { id: 'k', ttl: 60_000 } };
      const plan = (n: number) =>
        planFlow(
          node(two, n, [node(one, n)], { options: keyed }),
          ({ of, options: { idempotencyKey: _, ...options } }) =>
            withdrawal(config, of, { n }, of === two ? options : {}),
        );
      const send = ({ id, jobs }: ReturnType<typeof plan>) =>
        ids(Promise.all(a.addFlow({ id, jobs: jobs.map(job => ({ ...job, hint: 'route-only' })) })));
      const first = await send(plan(2));
      await work(one);
      await work(one);
      await work(two);
      expect(await send(plan(3))).toEqual(first);
      expect(await status(two)).toMatchObject({ waitingForChildren: 0, waiting: 0 });
      expect(await status(one)).toMatchObject({ waiting: 0, active: 0 });
    });

    test('a flow with the id of another job is refused, and adds nothing', async () => {
      await a.add(withdrawal(config, one, { n: 9 }, { jobId: 'x.1' }), 'route-only');
      await a.add(withdrawal(config, two, { n: 9 }, { jobId: 'y' }), 'route-only');
      await expect(add(node(up, 0, [node(two, 1), node(one, 2)], { options: { jobId: 'x' } }))).rejects.toThrow(
        InvalidOptionError,
      );
      await expect(add(node(two, 0, [node(one, 2)], { options: { jobId: 'y' } }))).rejects.toThrow(InvalidOptionError);
      expect((await add(node(two, 0, [], { options: { jobId: 'y' } })))[0]?.jobId).toBe('y');
      expect(await status(up)).toMatchObject({ waitingForChildren: 0 });
      expect(await status(two)).toMatchObject({ waiting: 1, waitingForChildren: 0 });
      expect(await status(one)).toMatchObject({ waiting: 1 });
    });
  });
}

function ended(job: FetchedJob | undefined, kind: 'completed' | 'failed' | 'dead' | 'blocked'): Settlement {
  if (kind === 'completed' || kind === 'failed') return done(job, kind);
  return { job: done(job).job, outcome: { kind, reason: 'because', stack: 'Error: because' } };
}
