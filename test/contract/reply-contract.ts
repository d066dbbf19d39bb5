/** The part of a store's contract about replies: how a caller that waits for a job learns how it ended. */

import type { Claim } from '../../src/core/model/claim.js';
import type { FetchedJob, JobOptions, NewJob, Settlement } from '../../src/core/model/job.js';
import { MAX_UNREAD } from '../../src/core/model/mailbox.js';
import type { Reply } from '../../src/core/model/reply.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { Received } from '../../src/core/ports/replies.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity } from '../support/contract-pods.js';
import { claimOf, done, numbers, withdrawal } from '../support/settlements.js';

const WHY = { reason: 'because', stack: 'Error: because' };
const THROWN = { name: 'Poor', message: 'é "1"\n\ud800 2', code: 7, cause: { name: 'Error', message: 'why' } };

export function replyContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, replies: ${name}`, () => {
    const config = resolveOptions({ entities: { order: { onExhausted: 'deadLetter' } } });
    const mine = { epoch: 1, mayClaim: true, atOnce: 1 };
    let cluster: Cluster;
    let caller: EntityStore;
    let worker: EntityStore;

    beforeEach(async () => {
      cluster = await createCluster(config);
      caller = await cluster.pod(config);
      worker = await cluster.pod(config);
    });
    afterEach(() => cluster.close());

    const awaited = (call: string, n = 1, options: JobOptions = {}, of = entity): NewJob => ({
      ...withdrawal(config, of, { n }, options),
      envelope: { reply: [caller.replies.address, call] },
    });
    /** The worker owns the entity, with that job fetched. */
    const owned = async (job: NewJob): Promise<{ claim: Claim; jobs: readonly FetchedJob[] }> =>
      claimOf(await worker.add(job, mine));
    const only = (jobs: readonly FetchedJob[]) => done(jobs[0]).job;
    const ended = (jobs: readonly FetchedJob[], outcome: Settlement['outcome']): Settlement => ({
      job: only(jobs),
      outcome,
    });
    const unread = async (of = caller) => {
      const all: Received[] = [];
      for await (const page of of.replies.unread()) all.push(...page);
      return all;
    };
    /** The state of the job, as a call that waits for it asks. */
    const found = async (jobId: string, call: string, of = entity) =>
      (await caller.replies.find([{ entity: of, jobId, call }]))[0];

    test('the end of a job writes a reply for the pod that waits and no other; a job without a caller writes none', async () => {
      const { claim, jobs } = await owned(awaited('c1', 1));
      await worker.add(withdrawal(config, entity, { n: 2 }), { ...mine, mayClaim: false });
      await worker.add(awaited('c3', 3), { ...mine, mayClaim: false });
      const answers = caller.replies.receive();
      const { jobs: second } = await worker.finish(claim, [ended(jobs, { kind: 'completed', value: '{"é":[1]}' })], 1);
      expect(await answers).toEqual([{ call: 'c1', reply: { kind: 'completed', value: '{"é":[1]}' } }]);
      const { jobs: third } = await worker.finish(claim, [ended(second, { kind: 'completed', value: '2' })], 1);
      await worker.finish(claim, [ended(third, { kind: 'completed', value: '""' })], 1);
      expect(await caller.replies.receive()).toEqual([{ call: 'c3', reply: { kind: 'completed', value: '""' } }]);
    });

    test('a reply to a failure has what was thrown; a reply with a withheld result has the reason', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      await worker.add(awaited('c2'), { ...mine, mayClaim: false });
      const { jobs: second } = await worker.finish(claim, [ended(jobs, { kind: 'failed', ...WHY, thrown: THROWN })], 1);
      await worker.finish(claim, [ended(second, { kind: 'completed', value: '"long"', withheld: 'too long' })], 1);
      expect(await caller.replies.receive()).toEqual([
        { call: 'c1', reply: { kind: 'failed', thrown: THROWN } },
        { call: 'c2', reply: { kind: 'withheld', why: 'too long' } },
      ]);
    });

    test('a job that is retried is replied to by its last attempt; a job that blocks its entity is not replied to', async () => {
      const { claim, jobs } = await owned(awaited('c1', 1, { attempts: 3 }));
      const tried = await worker.finish(claim, [ended(jobs, { kind: 'retrying', ...WHY, delayMs: 0 })], 1);
      const again = tried.jobs.length > 0 ? tried : await worker.take(claim);
      const id = only(again.jobs).id;
      expect(await found(id, 'c1')).toEqual({ state: 'active', isOwn: true });
      await worker.finish(claim, [ended(again.jobs, { kind: 'blocked', ...WHY })], 0);
      expect(await found(id, 'c1')).toEqual({ state: 'blocked', isOwn: true });
      await caller.control.unblock(entity, 'retry');
      const { jobs: last } = await worker.take(claim);
      await worker.finish(claim, [ended(last, { kind: 'completed', value: '1' })], 0);
      expect(await caller.replies.receive()).toEqual([{ call: 'c1', reply: { kind: 'completed', value: '1' } }]);
    });

    test('a job that becomes a dead letter is replied to', async () => {
      const order = { type: 'order', id: '1' };
      const { claim, jobs } = await owned(awaited('c1', 1, {}, order));
      await worker.finish(claim, [ended(jobs, { kind: 'dead', ...WHY })], 0);
      const thrown = { name: 'Error', message: 'because' };
      expect(await caller.replies.receive()).toEqual([{ call: 'c1', reply: { kind: 'failed', thrown } }]);
    });

    test('an end whose response was lost and that is sent again writes one reply', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      await worker.add(awaited('c2', 2), { ...mine, mayClaim: false });
      await worker.finish(claim, [done(only(jobs))], 0);
      const again = await worker.resync(claim, 2, [done(only(jobs))]);
      expect(numbers(again.jobs)).toEqual([2]);
      await worker.resync(again.claim, 3, [done(only(again.jobs))]);
      expect((await caller.replies.receive()).map(({ call }) => call)).toEqual(['c1', 'c2']);
    });

    test('jobs that end together reply each to their own caller, except those that come back', async () => {
      const { claim, jobs } = await owned(awaited('c1', 1));
      for (const n of [2, 3, 4]) await worker.add(awaited(`c${n}`, n, { attempts: 2 }), { ...mine, mayClaim: false });
      const all = [...jobs];
      while (all.length < 4) all.push(...(await worker.take(claim)).jobs);
      const outcomes: Settlement['outcome'][] = [
        { kind: 'completed', value: '1' },
        { kind: 'retrying', ...WHY, delayMs: 0 },
        { kind: 'failed', ...WHY, thrown: THROWN },
        { kind: 'postponed', ...WHY },
      ];
      const settled = all.map((job, index) => ({ job, outcome: outcomes[index] }) as Settlement);
      await worker.finish(claim, settled, 0);
      expect(await caller.replies.receive()).toEqual([
        { call: 'c1', reply: { kind: 'completed', value: '1' } },
        { call: 'c3', reply: { kind: 'failed', thrown: THROWN } },
      ]);
    });

    test('an end that is refused writes no reply', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      await cluster.expireLeases();
      const other = claimOf(await caller.tryClaim(entity, 1));
      await expect(worker.finish(claim, [done(only(jobs))], 0)).rejects.toMatchObject({ code: 'STALE_CLAIM' });
      await caller.finish(other.claim, [ended(other.jobs, { kind: 'completed', value: '"other"' })], 0);
      expect(await caller.replies.receive()).toEqual([{ call: 'c1', reply: { kind: 'completed', value: '"other"' } }]);
    });

    test('a job that an operator removes while it runs has not ended: its end writes no reply', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      await worker.add(awaited('c2', 2), { ...mine, mayClaim: false });
      const { id } = only(jobs);
      await cluster.removeJob(entity, id);
      const { jobs: next } = await worker.finish(claim, [done(only(jobs))], 1);
      expect(await found(id, 'c1')).toEqual({ state: 'gone', isOwn: false });
      await worker.finish(claim, [done(only(next))], 0);
      expect((await caller.replies.receive()).map(({ call }) => call)).toEqual(['c2']);
    });

    test('replies that were read are removed by the next call, not before', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      const { id } = only(jobs);
      await worker.finish(claim, [done(only(jobs))], 0);
      const told = [{ call: 'c1', reply: { kind: 'completed', value: '"ok"' } }];
      expect(await caller.replies.receive()).toEqual(told);
      expect(await unread()).toEqual(told);
      const next = caller.replies.receive();
      const { jobs: second } = claimOf(await worker.resync(claim, 2, []));
      expect(second).toEqual([]);
      await worker.add(awaited('c2'), { epoch: 2, mayClaim: false, atOnce: 1 });
      const again = claimOf(await worker.resync({ ...claim, epoch: 2 }, 3, []));
      await worker.finish(again.claim, [done(only(again.jobs))], 0);
      expect((await next).map(({ call }) => call)).toEqual(['c2']);
      expect((await unread()).map(({ call }) => call)).toEqual(['c2']);
      expect(await found(id, 'c1')).toEqual({ state: 'gone', isOwn: false });
    });

    test('find() tells the state of a job, and whether its reply is for the caller', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      const waits = await worker.add(awaited('c2', 2), { ...mine, mayClaim: false });
      const later = await worker.add(awaited('c3', 3, { delay: 60_000 }), { ...mine, mayClaim: false });
      const states = await caller.replies.find([
        { entity, jobId: only(jobs).id, call: 'c1' },
        { entity, jobId: waits.jobId, call: 'other' },
        { entity, jobId: later.jobId, call: 'c3' },
        { entity, jobId: 'never', call: 'c4' },
        { entity: { type: 'account', id: 'other' }, jobId: only(jobs).id, call: 'c1' },
      ]);
      expect(states).toEqual([
        { state: 'active', isOwn: true },
        { state: 'waiting', isOwn: false },
        { state: 'delayed', isOwn: true },
        { state: 'gone', isOwn: false },
        { state: 'gone', isOwn: false },
      ]);
      expect(await worker.replies.find([{ entity, jobId: only(jobs).id, call: 'c1' }])).toEqual([
        { state: 'active', isOwn: false },
      ]);
      await worker.finish(claim, [done(only(jobs))], 0);
    });

    test('a job that is found gone has its reply in the mailbox, even if all calls travel in one tick', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      // One pod for all, so that all travel in one step.
      const own = { ...awaited('c2', 2), envelope: { reply: [worker.replies.address, 'c2'] as const } };
      const { jobId } = await worker.add(own, { ...mine, mayClaim: false });
      const { jobs: next } = await worker.finish(claim, [done(only(jobs))], 1);
      const ask = (id: string) => worker.replies.find([{ entity, jobId: id, call: 'c2' }]);
      const [before, , after] = await Promise.all([
        ask(jobId),
        worker.finish(claim, [done(only(next))], 0),
        ask(jobId),
      ]);
      expect(before).toEqual([{ state: 'active', isOwn: true }]);
      expect(after).toEqual([{ state: 'gone', isOwn: false }]);
      expect(await unread(worker)).toEqual([{ call: 'c2', reply: { kind: 'completed', value: '"ok"' } }]);
    });

    test('a kept job that has completed tells its result to any caller', async () => {
      const { claim, jobs } = await owned(awaited('c1', 1, { removeOnComplete: false }));
      const { id } = only(jobs);
      await worker.finish(claim, [ended(jobs, { kind: 'completed', value: '{"a":1}' })], 0);
      const answer = { kind: 'completed', value: '{"a":1}' };
      expect(await found(id, 'other')).toEqual({ state: 'gone', isOwn: false, reply: answer });
      expect(await found(id, 'c1')).toEqual({ state: 'gone', isOwn: true, reply: answer });
    });

    test('a kept job tells the codec of its result to any caller', async () => {
      const sealed = awaited('c1', 1, { removeOnComplete: false });
      const { claim, jobs } = await owned({ ...sealed, envelope: { ...sealed.envelope, codec: 'a codec' } });
      const { id } = only(jobs);
      expect(await found(id, 'c1')).toEqual({ state: 'active', isOwn: true, codec: 'a codec' });
      await worker.finish(claim, [done(only(jobs))], 0);
      const answer = { kind: 'completed', value: '"ok"' };
      expect(await found(id, 'other')).toEqual({ state: 'gone', isOwn: false, codec: 'a codec', reply: answer });
    });

    test('a kept job that has failed tells its reason to any caller', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      const { id } = only(jobs);
      await worker.finish(claim, [done(only(jobs), 'failed')], 0);
      const answer = { kind: 'failed', thrown: { name: 'Error', message: 'because' } };
      expect(await found(id, 'other')).toEqual({ state: 'gone', isOwn: false, reply: answer });
    });

    test('a call can cancel its own job only, and only before it starts', async () => {
      const { claim, jobs } = await owned(awaited('c1'));
      const waits = await worker.add(awaited('c2', 2), { ...mine, mayClaim: false });
      const later = await worker.add(awaited('c3', 3, { delay: 60_000 }), { ...mine, mayClaim: false });
      const cancel = (jobId: string, call: string, by = caller) => by.replies.cancel({ entity, jobId, call });
      expect(await cancel(only(jobs).id, 'c1')).toBe(false);
      expect(await cancel(waits.jobId, 'c3')).toBe(false);
      expect(await cancel(waits.jobId, 'c2', worker)).toBe(false);
      expect(await cancel(waits.jobId, 'c2')).toBe(true);
      expect(await cancel(waits.jobId, 'c2')).toBe(false);
      expect(await cancel(later.jobId, 'c3')).toBe(true);
      expect((await worker.finish(claim, [done(only(jobs))], 1)).jobs).toEqual([]);
      expect(await worker.control.status(entity)).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
    });

    test('a job that waits for a retry has started: it is not cancelled', async () => {
      const { claim, jobs } = await owned(awaited('c1', 1, { attempts: 2 }));
      await worker.finish(claim, [ended(jobs, { kind: 'retrying', ...WHY, delayMs: 60_000 })], 0);
      expect(await caller.replies.cancel({ entity, jobId: only(jobs).id, call: 'c1' })).toBe(false);
      expect(await worker.control.status(entity)).toMatchObject({ waiting: 1 });
    });

    test('a cancelled job of an unowned entity leaves the entity unowned', async () => {
      const { jobId } = await caller.add(awaited('c1'), 'route-only');
      expect(await cluster.dueScore(entity)).toBeDefined();
      expect(await caller.replies.cancel({ entity, jobId, call: 'c1' })).toBe(true);
      expect(await cluster.dueScore(entity)).toBeUndefined();
    });

    test('an enqueue that adds nothing, since its job is known, leaves the reply to the first caller', async () => {
      const key = { deduplication: { id: 'k', ttl: 60_000 } };
      const { claim, jobs } = await owned(awaited('c1', 1, key));
      const { jobId } = await worker.add(awaited('c2', 2, key), { ...mine, mayClaim: false });
      expect(jobId).toBe(only(jobs).id);
      expect(await found(jobId, 'c1')).toEqual({ state: 'active', isOwn: true });
      expect(await found(jobId, 'c2')).toEqual({ state: 'active', isOwn: false });
      await worker.finish(claim, [done(only(jobs))], 0);
      expect((await caller.replies.receive()).map(({ call }) => call)).toEqual(['c1']);
      expect(await found(jobId, 'c2')).toEqual({ state: 'gone', isOwn: false });
    });

    describe('a mailbox that is not read', () => {
      const completed = (value: string) => ({ kind: 'completed', value }) as const;
      const tell = (call: string, answer: Reply) => worker.replies.tell(caller.replies.address, call, answer);
      const told = async () =>
        (await unread()).map(({ call, reply }) => {
          if (reply.kind === 'completed') return `${call} ${reply.value.length}`;
          const text = reply.kind === 'failed' ? reply.thrown.message : reply.kind === 'withheld' ? reply.why : '';
          return `${call} ${reply.kind}: ${text}`;
        });

      test('takes the questions of other pods', async () => {
        await worker.replies.tell(caller.replies.address, 'c1', { kind: 'asked', by: [worker.replies.address, 'q1'] });
        const asked = { call: 'c1', reply: { kind: 'asked', by: [worker.replies.address, 'q1'] } };
        expect(await caller.replies.receive()).toEqual([asked]);
      });

      test('takes a text while 32 MiB would hold as many of its length as there are entries; then the reply has no text', async () => {
        const mebibyte = 'x'.repeat(1024 * 1024);
        for (let n = 0; n < 33; n++) await tell(`c${n}`, completed(mebibyte));
        await tell('failed', { kind: 'failed', thrown: { name: 'Error', message: mebibyte } });
        await tell('why', { kind: 'withheld', why: mebibyte });
        await tell('half', completed('x'.repeat(mebibyte.length / 2)));
        await tell('short', completed('x'.repeat(256)));
        const all = await told();
        expect(all.slice(30)).toEqual([
          'c30 1048576',
          'c31 1048576',
          expect.stringMatching(/^c32 withheld: .*32 MiB/),
          expect.stringMatching(/^failed failed: The job has failed, and .*32 MiB/),
          expect.stringMatching(/^why withheld: .*32 MiB/),
          'half 524288',
          'short 256',
        ]);
      });

      test('keeps the replies to all calls that may wait, and to as many again; then it says that it is full', async () => {
        const calls = Array.from({ length: MAX_UNREAD + 3 }, (_, n) => `c${n}`);
        await Promise.all(calls.map(call => tell(call, completed('1'))));
        const all = await unread();
        expect(all).toHaveLength(MAX_UNREAD + 1);
        expect(all.slice(0, MAX_UNREAD).map(({ call }) => call)).toEqual(calls.slice(0, MAX_UNREAD));
        expect(all.at(-1)).toEqual({ call: '', reply: { kind: 'overflow' } });
      }, 60_000);
    });

    test('an envelope that was written manually has no waiting caller', async () => {
      const forged = { ...withdrawal(config, entity, { n: 1 }), envelope: { reply: ['x y', 7] as never } };
      const { claim, jobs } = await owned(forged);
      await worker.add(awaited('c2', 2), { ...mine, mayClaim: false });
      const { jobs: next } = await worker.finish(claim, [done(only(jobs))], 1);
      await worker.finish(claim, [done(only(next))], 0);
      expect((await caller.replies.receive()).map(({ call }) => call)).toEqual(['c2']);
    });
  });
}
