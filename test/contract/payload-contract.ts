/** The part of a store's contract about payloads: what an operator sees of those that a codec has written. */

import type { NewJob, Settlement } from '../../src/core/model/job.js';
import { type EngineConfig } from '../../src/core/options/config.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { PayloadCodec } from '../../src/core/payload/codec.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { type Cluster, type CreateCluster, entity } from '../support/contract-pods.js';
import { claimOf, done, withdrawal } from '../support/settlements.js';

/** Wraps, so that what was not unwrapped shows. */
const WRAPPING: PayloadCodec = {
  name: 'wrapping',
  encode: value => ({ wrapped: value as never }),
  decode: encoded => (encoded as { wrapped: unknown }).wrapped,
};

export function payloadContract(name: string, createCluster: CreateCluster): void {
  describe(`the contract of a store, payloads: ${name}`, () => {
    const entities = { account: { onExhausted: 'deadLetter' } } as const;
    const config = resolveOptions({ entities, readCodecs: [WRAPPING] });
    const mine = { epoch: 1, mayClaim: true, atOnce: 1 };
    const wrapped = (n: number): NewJob => ({
      ...withdrawal(config, entity, { n }),
      data: JSON.stringify(WRAPPING.encode({ n })),
      envelope: { codec: 'wrapping' },
    });
    let cluster: Cluster;
    let a: EntityStore;
    /** A pod that does not know the codec. */
    let stranger: EntityStore;

    beforeEach(async () => {
      cluster = await createCluster(config);
      a = await cluster.pod(config);
      const without: EngineConfig = resolveOptions({ entities });
      stranger = await cluster.pod(without);
    });
    afterEach(() => cluster.close());

    test('lists show decoded data; a pod without the codec shows what is stored', async () => {
      await a.add(withdrawal(config, entity, { n: 0 }), mine);
      for (const n of [1, 2]) await a.add(wrapped(n), { ...mine, mayClaim: false });
      const data = async (store: EntityStore, state: 'waiting' | 'active') =>
        (await store.control.list(entity, state, 0, 9)).map(job => job.data);
      expect(await data(a, 'active')).toEqual([{ n: 0 }]);
      expect(await data(a, 'waiting')).toEqual([{ n: 1 }, { n: 2 }]);
      expect(await data(stranger, 'waiting')).toEqual([{ wrapped: { n: 1 } }, { wrapped: { n: 2 } }]);
    });

    test('a fetched job has its data as stored: the pod of the handler decides what it can read', async () => {
      const { jobs } = claimOf(await a.add(wrapped(1), mine));
      expect(jobs[0]).toMatchObject({ data: { wrapped: { n: 1 } }, envelope: { codec: 'wrapping' } });
    });

    test('the native job has the data that it is given', async () => {
      const { jobs } = claimOf(await a.add(wrapped(1), mine));
      const data = { n: 1n };
      expect(done(jobs[0]).job.native({ data, encode: String })).toMatchObject({ id: jobs[0]?.id, data });
    });

    test('dead letters show decoded data', async () => {
      const { claim, jobs } = claimOf(await a.add(wrapped(1), mine));
      const outcome = { kind: 'dead', reason: 'because', stack: 'Error: because' } as const;
      const end: Settlement = { job: done(jobs[0]).job, outcome };
      await a.finish(claim, [end], 0);
      expect(await a.deadLetters.list('account', 0, 9)).toMatchObject([{ data: { n: 1 } }]);
      expect(await stranger.deadLetters.list('account', 0, 9)).toMatchObject([{ data: { wrapped: { n: 1 } } }]);
    });

    test('schedules show decoded data, even after they were replaced with another codec, or with none', async () => {
      const plain = withdrawal(config, entity, { n: 3 });
      const sealed = wrapped(2);
      for (const [job, n] of [
        [sealed, 2],
        [plain, 3],
        [sealed, 2],
      ] as const) {
        await a.schedules.put(job, { id: 's', every: 50_000 });
        expect(await a.schedules.list(entity, 0, 9)).toMatchObject([{ id: 's', data: { n } }]);
        const [run] = await a.control.list(entity, 'delayed', 0, 9);
        const [now] = await a.control.list(entity, 'waiting', 0, 9);
        expect((run ?? now)?.data).toEqual({ n });
      }
      expect(await stranger.schedules.list(entity, 0, 9)).toMatchObject([{ data: { wrapped: { n: 2 } } }]);
    });

    test('schedules that are replaced during a run have each run read by the codec that wrote it', async () => {
      await a.schedules.put(wrapped(1), { id: 's', every: 50_000 });
      const { claim, jobs } = claimOf(await a.tryClaim(entity, 1));
      await a.schedules.put(withdrawal(config, entity, { n: 2 }), { id: 's', every: 50_000 });
      const { claim: again, jobs: same } = await a.resync(claim, 2, []);
      expect([jobs[0], same[0]].map(job => [job?.data, job?.envelope])).toEqual(
        Array(2).fill([{ wrapped: { n: 1 } }, { codec: 'wrapping' }]),
      );
      await a.finish(again, [done(same[0])], 0);
      await cluster.ripenDelayed(entity);
      const { jobs: next } = await a.take(again);
      expect(next.map(({ data, envelope }) => [data, envelope])).toEqual([[{ n: 2 }, {}]]);
    });
  });
}
