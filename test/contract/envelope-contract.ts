/** The part of a store's contract about the envelope: what travels with a job in addition to its payload. */
import type { FetchedJob, JobOptions, NewJob, Settlement } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity } from '../support/contract-pods.js';
import { claimOf, done, withdrawal } from '../support/settlements.js';

export function envelopeContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, envelopes: ${name}`, () => {
    const config = resolveOptions({ entities: { account: { onExhausted: 'deadLetter' } } });
    const mine = { epoch: 1, mayClaim: true, atOnce: 1 };
    const sealed = (text: string, options: JobOptions = {}): NewJob => ({
      ...withdrawal(config, entity, { n: 1 }, options),
      envelope: { text },
    });
    const bare = (options: JobOptions = {}) => withdrawal(config, entity, { n: 1 }, options);
    const texts = (jobs: readonly FetchedJob[]) => jobs.map(({ envelope }) => envelope['text']);
    const only = (jobs: readonly FetchedJob[]) => done(jobs[0]).job;
    let cluster: Cluster;
    let a: EntityStore;

    beforeEach(async () => {
      cluster = await createCluster(config);
      a = await cluster.pod(config);
    });
    afterEach(() => cluster.close());

    test('each job has its own envelope, in a bulk as well; a job without one has none', async () => {
      const { claim, jobs } = claimOf(await a.add(sealed('é "1"'), mine));
      await a.add(bare(), { ...mine, mayClaim: false });
      await Promise.all(a.addAll([sealed('3'), sealed('4')].map(job => [job, 'route-only'] as const)));
      const { jobs: others } = await a.finish(claim, [done(only(jobs))], 3);
      expect(texts([...jobs, ...others])).toEqual(['é "1"', undefined, '3', '4']);
      expect(others[0]?.envelope).toEqual({});
    });

    test('a known job keeps its own envelope', async () => {
      const { claim, jobs } = claimOf(await a.add(sealed('1', { jobId: 'one' }), mine));
      for (const job of [
        sealed('2', { jobId: 'one' }),
        sealed('3', { deduplication: { id: 'k', ttl: 60_000 } }),
        sealed('4', { deduplication: { id: 'k', ttl: 60_000 } }),
        bare({ jobId: 'one' }),
      ])
        await a.add(job, { ...mine, mayClaim: false });
      const again = await a.resync(claim, 2, []);
      const { jobs: others } = await a.finish(again.claim, [done(only(again.jobs))], 3);
      expect(texts([...jobs, ...again.jobs, ...others])).toEqual(['1', '1', '3']);
    });

    test('an envelope survives a failed attempt, and the end as a dead letter', async () => {
      const why = { reason: 'because', stack: 'Error: because' };
      const { claim, jobs } = claimOf(await a.add(sealed('1', { attempts: 3 }), mine));
      const retrying: Settlement = { job: only(jobs), outcome: { kind: 'retrying', ...why, delayMs: 0 } };
      const { jobs: tried } = await a.finish(claim, [retrying], 1);
      expect(texts(tried)).toEqual(['1']);
      await a.finish(claim, [{ job: only(tried), outcome: { kind: 'dead', ...why } }], 1);
      const [letter] = await a.deadLetters.list('account', 0, 1);
      expect(letter).not.toHaveProperty('envelope');
      await a.deadLetters.replay('account', String(letter?.letterId));
      expect(texts((await a.take(claim)).jobs)).toEqual(['1']);
    });

    test('each run of a schedule has the envelope of the schedule', async () => {
      await a.schedules.put(sealed('1'), { id: 's', every: 50_000 });
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      await a.finish(claim, [done(only(jobs))], 0);
      await cluster.ripenDelayed(entity);
      expect(texts([...jobs, ...(await a.take(claim)).jobs])).toEqual(['1', '1']);
    });
  });
}
