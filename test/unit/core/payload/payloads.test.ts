/** Payloads through the engine: read by the codec that wrote them, on any pod and at any time; bounds; unreadable payloads. */
import { SuperJSON } from 'superjson';
import type { Settlement } from '../../../../src/core/model/job.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { jsonCodec, type PayloadCodec } from '../../../../src/core/payload/codec.js';
import { superjsonCodec } from '../../../../src/core/payload/superjson-codec.js';
import { LEASE_MS, MemoryPods } from '../../../support/memory-pods.js';

const rich = superjsonCodec(new SuperJSON());
const PRODUCER: EngineOptions = { producerOnly: true, codec: rich };
const lease = { heartbeatTTL: LEASE_MS / 1000 };

describe('payloads', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  const entity = () => cluster.server.entities.get('account:1');
  /** How a result is stored. */
  const stored = async (options: EngineOptions, result: unknown) => {
    const pod = await cluster.pod('a', options);
    cluster.returns = () => result;
    await pod.add('1', 0);
    const [, settlements] = pod.store.lastArguments.get('finish') ?? [];
    const [settlement] = settlements as [Settlement];
    const { kind, value } = settlement.outcome as { kind: string; value?: string };
    expect(kind).toBe('completed');
    return { value, log: pod.log.lines.join() };
  };

  test('are read by the codec that wrote them, even if their type has another codec by now', async () => {
    const old = await cluster.pod('old', { producerOnly: true });
    const producer = await cluster.pod('producer', PRODUCER);
    await old.add('1', 0);
    await producer.add('1', 1);
    expect(entity()?.wait.map(({ envelope }) => envelope)).toEqual([{}, { codec: 'superjson' }]);
    await cluster.pod('worker', { readCodecs: [rich] });
    await cluster.clock.advance(2000);
    expect(cluster.starts).toEqual(['worker:1:0', 'worker:1:1']);
  });

  test('race 13: with a codec that the old pod does not know are left for the new one, with all jobs behind them', async () => {
    const producer = await cluster.pod('producer', PRODUCER);
    await producer.add('1', 1, 2);
    const old = await cluster.pod('old');
    await cluster.clock.advance(20_000);
    expect(cluster.starts).toEqual([]);
    expect(cluster.failedReasons()).toEqual([]);
    expect(old.log.lines).toEqual([
      expect.stringMatching(
        /No codec "superjson" on this pod for job "withdraw" of entity type "account"\. The job waits for a pod that has one/,
      ),
    ]);
    cluster.instant = false;
    await cluster.pod('new', { codec: rich });
    await cluster.clock.advance(2000);
    expect(cluster.job(1).context.attempt).toBe(1);
    await cluster.job(1).end();
    expect(cluster.starts).toEqual(['new:1:1', 'new:1:2']);
  });

  test('left for too long fail the job once, with a typed error, and the entity goes on', async () => {
    const producer = await cluster.pod('producer', PRODUCER);
    const options = { attempts: 5 };
    await producer.engine.enqueue({ entityType: 'account', entityId: '1', name: 'withdraw', data: { n: 1 }, options });
    const old = await cluster.pod('old', { workerDefaults: { ...lease, unknownJobGraceMs: 20_000 } });
    await old.add('1', 2);
    await cluster.clock.advance(19_000);
    expect(cluster.starts).toEqual([]);
    await cluster.clock.advance(10_000);
    expect(cluster.starts).toEqual(['old:1:2']);
    expect(cluster.failedReasons()).toEqual([expect.stringMatching(/No codec "superjson" on this pod.*readCodecs/)]);
    expect(old.events.filter(({ type }) => type === 'job.retried')).toEqual([]);
  });

  test('that their codec cannot read fail the job without further attempts, as its type says', async () => {
    const broken: PayloadCodec = {
      ...jsonCodec,
      name: 'broken',
      decode: () => {
        throw new Error('the words of a codec, with hunter2');
      },
    };
    const pod = await cluster.pod('a', { codec: broken, entities: { account: { onExhausted: 'deadLetter' } } });
    const options = { attempts: 5 };
    await pod.engine.enqueue({ entityType: 'account', entityId: '1', name: 'withdraw', data: { n: 1 }, options });
    await cluster.clock.advance(100);
    expect(cluster.starts).toEqual([]);
    const letters = await pod.engine.deadLetters.list('account', 0, 9);
    expect(letters).toMatchObject([
      { failedReason: 'The codec "broken" can\'t read the payload (Error).', attemptsMade: 1 },
    ]);
    expect([...pod.log.lines, JSON.stringify(letters)].join()).not.toContain('hunter2');
  });

  test('have the same codec as their results', async () => {
    const at = new Date(0);
    expect((await stored({ codec: rich }, { at })).value).toBe(
      JSON.stringify({ json: { at }, meta: { values: { at: ['Date'] }, v: 1 } }),
    );
  });

  test('have results that are lost if their codec cannot write them, and null stays null', async () => {
    const { value, log } = await stored({ codec: rich }, () => 1);
    expect(value).toBe('null');
    expect(log).toMatch(/completed, but its result can't be stored/);
  });

  test('have the result null if the job has no result, or returns null', async () => {
    expect((await stored({ codec: rich }, undefined)).value).toBe('null');
    await cluster.pods.pop()?.engine.close();
    expect((await stored({ codec: rich }, null)).value).toBe('null');
  });

  test('have no result above its bound, but the job completes', async () => {
    const { value, log } = await stored({ maxResultBytes: 10 }, 'ééééé');
    expect(value).toBe('null');
    expect(log).toMatch(/completed, but its result has 12 bytes, more than maxResultBytes \(10\), so null is stored/);
  });

  test('have a result of exactly as many bytes as its bound', async () => {
    expect((await stored({ maxResultBytes: 12 }, 'ééééé')).value).toBe('"ééééé"');
  });

  test('above their bound are not enqueued, and neither is the rest of their bulk', async () => {
    const pod = await cluster.pod('a', { producerOnly: true, entities: { account: { maxPayloadBytes: 40 } } });
    const request = (text: string) => ({ entityType: 'account', entityId: '1', name: 'x', data: { text } });
    const refused = {
      code: 'PAYLOAD_TOO_LARGE',
      bytes: 42,
      maxBytes: 40,
      message: expect.stringMatching(/Job "x" has 42/),
    };
    await expect(pod.engine.enqueue(request('x'.repeat(31)))).rejects.toMatchObject(refused);
    await expect(pod.engine.enqueueBulk([request(''), request('x'.repeat(31))])).rejects.toMatchObject(refused);
    expect(entity()).toBeUndefined();
    await pod.engine.enqueue(request('x'.repeat(29)));
    expect(entity()?.wait).toHaveLength(1);
  });
});
