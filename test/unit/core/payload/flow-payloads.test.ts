/** The results of a flow's children, read by their codecs; and an envelope with codec, context and children at once. */
import { SuperJSON } from 'superjson';
import type { FlowOf } from '../../../../src/core/enqueue/flow.js';
import type { JobRequest } from '../../../../src/core/enqueue/requests.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { jsonCodec, type PayloadCodec } from '../../../../src/core/payload/codec.js';
import { superjsonCodec } from '../../../../src/core/payload/superjson-codec.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods } from '../../../support/memory-pods.js';

const rich = superjsonCodec(new SuperJSON());
const request = (entityId: string, n: number, data: object = {}): JobRequest => ({
  entityType: 'account',
  entityId,
  name: 'withdraw',
  data: { n, ...data },
});
const node = (job: JobRequest, ...children: FlowOf<JobRequest>[]): FlowOf<JobRequest> => ({
  job,
  children: () => children,
});
const ofTenant = (tenant: () => string): EngineOptions['context'] => ({
  keys: ['tenant'],
  get: () => ({ tenant: tenant() }),
  run: (_, callback) => callback(),
});

describe('payloads of flows', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods({ instant: false });
  });
  afterEach(() => cluster.close());

  const ends = (n: number, result: unknown) => {
    cluster.returns = () => result;
    return cluster.job(n).end();
  };
  const outcomes = async (n: number) => (await cluster.job(n).context.children()).map(({ outcome }) => outcome);

  test('a parent reads the results of its children, and why they have failed', async () => {
    const a = await cluster.pod('A', { codec: rich });
    const told = { ...node(request('5', 4)), onFailure: 'tellParent' as const };
    const children = ['2', '3', '4'].map((id, at) => node(request(id, at + 1)));
    await a.engine.enqueueFlow(node(request('1', 0, { cents: 7n }), ...children, told));
    const result = { at: new Date(5), cents: 2n ** 70n };
    await ends(1, result);
    await ends(2, undefined);
    await ends(3, null);
    await cluster.job(4).fail(new Error('{"json":"no"}'));
    expect(await outcomes(0)).toEqual([
      { kind: 'completed', value: result },
      { kind: 'completed', value: null },
      { kind: 'completed', value: null },
      { kind: 'failed', reason: '{"json":"no"}' },
    ]);
    expect(cluster.job(0).context.job).toMatchObject({ data: { n: 0, cents: 7n } });
    await ends(0, undefined);
  });

  test('a parent reads the results of its children also after it was a dead letter and was replayed', async () => {
    const a = await cluster.pod('A', { codec: rich, entities: { account: { onExhausted: 'deadLetter' } } });
    await a.engine.enqueueFlow(node(request('1', 0), node(request('2', 1))));
    await ends(1, 5n);
    await cluster.job(0).fail();
    const [letter] = await a.engine.deadLetters.list('account', 0, 9);
    expect(letter?.data).toEqual({ n: 0 });
    await a.engine.deadLetters.replay('account', letter?.letterId ?? '');
    await cluster.clock.advance(2000);
    expect(await outcomes(0)).toEqual([{ kind: 'completed', value: 5n }]);
    await ends(0, undefined);
  });

  test('a parent that waits for its children is listed with its original data', async () => {
    const a = await cluster.pod('A', { codec: rich });
    await a.engine.enqueueFlow(node(request('1', 0, { cents: 7n }), node(request('2', 1))));
    const [waiting] = await a.engine.control.list({ type: 'account', id: '1' }, 'waiting-children', 0, 9);
    expect(waiting?.data).toEqual({ n: 0, cents: 7n });
    await ends(1, undefined);
    await ends(0, undefined);
  });

  describe("a child with another codec than its parent's", () => {
    const item = (n: number): JobRequest => ({ ...request('7', n), entityType: 'item' });
    /** A plain parent, handled by a pod that knows only JSON, and a child in the rich codec that has ended with this result. */
    const childOf = async (codec: PayloadCodec, result: unknown, options: EngineOptions = {}) => {
      cluster.types = ['item'];
      const items = await cluster.pod('items', { entities: { item: { codec } } });
      cluster.types = ['account'];
      const accounts = await cluster.pod('accounts', options);
      await items.engine.enqueueFlow(node(request('1', 0), node(item(1))));
      await ends(1, result);
      return accounts;
    };

    test('has its result read by its own codec', async () => {
      await childOf(rich, new Date(5), { readCodecs: [rich] });
      expect(await outcomes(0)).toEqual([{ kind: 'completed', value: new Date(5) }]);
      await ends(0, undefined);
    });

    test('race 13: makes a pod that does not know its codec leave the parent to a pod that does', async () => {
      const accounts = await childOf(rich, new Date(5));
      await cluster.clock.advance(20_000);
      expect(cluster.running).toEqual([]);
      expect(accounts.log.lines).toEqual([
        expect.stringMatching(
          /No codec "superjson" on this pod for job "withdraw" of entity type "account"\. The job waits for a pod that has one/,
        ),
      ]);
      await cluster.pod('new', { readCodecs: [rich] });
      await cluster.clock.advance(2000);
      expect(cluster.job(0).pod).toBe('new');
      expect(await outcomes(0)).toEqual([{ kind: 'completed', value: new Date(5) }]);
      await ends(0, undefined);
    });

    test('does not keep the parent from running after a time, and the parent may work without the result', async () => {
      const workerDefaults = { heartbeatTTL: LEASE_MS / 1000, unknownJobGraceMs: 20_000 };
      await childOf(rich, new Date(5), { workerDefaults });
      await cluster.clock.advance(30_000);
      await expect(cluster.job(0).context.children()).rejects.toMatchObject({
        code: 'PAYLOAD_UNREADABLE',
        message: expect.stringMatching(
          /^The result of child job .*\.0 \("withdraw"\) of item:7: No codec "superjson".*readCodecs/,
        ),
      });
      await ends(0, undefined);
    });

    test("fails its parent without further attempts if its codec cannot read the result, and the error hides the codec's text", async () => {
      const broken: PayloadCodec = {
        ...jsonCodec,
        name: 'broken',
        decode: encoded => {
          if (encoded === 'hunter2') throw new Error(encoded);
          return encoded;
        },
      };
      const defaultJobOptions = { attempts: 3 };
      const accounts = await childOf(broken, 'hunter2', { readCodecs: [broken], defaultJobOptions });
      const error = await cluster
        .job(0)
        .context.children()
        .catch(error => error);
      await cluster.job(0).fail(error);
      const [failed] = cluster.server.entities.get('account:1')?.failed ?? [];
      expect(failed?.outcome?.value).toMatch(/of item:7: The codec "broken" can't read it \(Error\)\.$/);
      expect(failed?.attemptsMade).toBe(0);
      expect(accounts.log.lines.join()).not.toContain('hunter2');
    });
  });

  describe('with a context', () => {
    let tenant = 'one';
    const start = () => cluster.pod('A', { codec: rich, context: ofTenant(() => tenant) });
    const seen = (n: number) => {
      const { contextValues, job } = cluster.job(n).context;
      return [contextValues, (job as { data: unknown }).data];
    };
    const at = new Date(5);

    test('share one envelope with it, for a job, each job of a bulk, and the jobs of a flow', async () => {
      tenant = 'one';
      const a = await start();
      await a.engine.enqueue(request('1', 0, { at }));
      await a.engine.enqueueBulk([request('2', 1, { at }), request('3', 2, { at })]);
      await a.engine.enqueueFlow(node(request('4', 3, { at }), node(request('5', 4, { at }))));
      await settle();
      const both = { ctx: { tenant }, codec: 'superjson' };
      const parent = cluster.server.entities.get('account:4')?.parents[0];
      expect(parent?.envelope).toEqual({
        ...both,
        children: [expect.objectContaining({ id: '5', name: 'withdraw', codec: 'superjson' })],
      });
      expect(cluster.server.entities.get('account:2')?.active[0]?.envelope).toEqual(both);
      for (const n of [0, 1, 2, 4]) {
        expect(seen(n)).toEqual([{ tenant: 'one' }, { n, at }]);
        await ends(n, undefined);
      }
      expect(seen(3)).toEqual([{ tenant: 'one' }, { n: 3, at }]);
      await ends(3, undefined);
    });

    test('are, with it, in each run of a schedule, which is listed with its original data', async () => {
      tenant = 'two';
      const a = await start();
      await a.engine.schedule(request('1', 0, { at }), { id: 's', every: 1000 });
      tenant = 'later';
      for (let run = 0; run < 3; run++) {
        await cluster.clock.advance(1000);
        expect(seen(0)).toEqual([{ tenant: 'two' }, { n: 0, at }]);
        expect(await a.engine.schedules.list({ type: 'account', id: '1' }, 0, 9)).toMatchObject([
          { id: 's', data: { n: 0, at } },
        ]);
        await ends(0, { at });
      }
      await a.engine.schedules.remove({ type: 'account', id: '1' }, 's');
    });
  });
});
