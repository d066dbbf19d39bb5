/**
 * Payloads of batches: a job that is invalid, or can't be read, fails by itself. A job with a codec that a pod does not know is in none
 * of its batches (races 13, 32).
 */
import { SuperJSON } from 'superjson';
import { z } from 'zod';
import { schemaValidator } from '../../../../src/core/handlers/validation.js';
import type { ContextValues } from '../../../../src/core/model/envelope.js';
import type { Settlement } from '../../../../src/core/model/job.js';
import { BatchFailure } from '../../../../src/core/model/job-errors.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { jsonCodec, type PayloadCodec } from '../../../../src/core/payload/codec.js';
import { superjsonCodec } from '../../../../src/core/payload/superjson-codec.js';
import { settle } from '../../../support/clock.js';
import { LEASE_MS, MemoryPods, type Pod } from '../../../support/memory-pods.js';
import type { Batches } from '../../../support/running-handlers.js';

const rich = superjsonCodec(new SuperJSON());
/** Refuses multiples of three. */
const checked = schemaValidator(
  z
    .object({ n: z.number().refine(n => n % 3 !== 0, 'is a multiple of three') })
    .transform(data => ({ ...data, ok: true })),
);

describe('payloads of batches', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods({ instant: false });
  });
  afterEach(() => cluster.close());

  const pod = (name: string, withdraw: Batches[string], options: EngineOptions = {}) =>
    cluster.pod(name, options, ['*'], { withdraw });
  const entity = () => cluster.server.entities.get('account:1');
  const settled = (a: Pod) => (a.store.lastArguments.get('finish')?.[1] ?? []) as readonly Settlement[];
  const endsOf = (a: Pod) =>
    settled(a).map(({ outcome }) => (outcome.kind === 'completed' ? outcome.value : outcome.kind));

  test('an invalid one fails by itself: the handler gets the others as validated, and all end in one step, in order', async () => {
    const a = await pod('A', { max: 10, validator: checked }, { defaultJobOptions: { attempts: 5 } });
    await a.add('1', 1, 2, 3, 4, 5);
    expect(cluster.batch.ns).toEqual([1, 2, 4, 5]);
    expect(cluster.batch.jobs[2]?.data).toEqual({ n: 4, ok: true });
    expect(cluster.batch.jobs[2]?.native()).toMatchObject({ data: { n: 4, ok: true } });
    await cluster.batch.end(['a', 'b', 'c', 'd']);
    expect(endsOf(a)).toEqual(['"a"', '"b"', 'failed', '"c"', '"d"']);
    expect(settled(a).map(({ job }) => job.data)).toEqual([1, 2, 3, 4, 5].map(n => ({ n })));
    expect(a.count('finish')).toBe(1);
    expect(cluster.failedReasons()).toEqual(['Job "withdraw" has invalid data: n: is a multiple of three.']);
  });

  test('all invalid cause no call of the handler, and the entity goes on', async () => {
    const a = await pod('A', { max: 10, validator: checked });
    await a.add('1', 3, 6);
    expect(a.count('finish')).toBe(1);
    expect(endsOf(a)).toEqual(['failed', 'failed']);
    expect(cluster.batches).toEqual([]);
    await a.add('1', 7);
    expect(cluster.batch.ns).toEqual([7]);
  });

  test('unreadable by their codec fail by themselves, as their type says', async () => {
    const picky: PayloadCodec = {
      ...jsonCodec,
      name: 'picky',
      decode: encoded => {
        if ((encoded as { n: number }).n === 2) throw new Error('hunter2');
        return encoded;
      },
    };
    const a = await pod('A', { max: 10 }, { codec: picky, entities: { account: { onExhausted: 'deadLetter' } } });
    await a.add('1', 1, 2, 3);
    expect(cluster.batch.ns).toEqual([1, 3]);
    await cluster.batch.end();
    expect(endsOf(a)).toEqual(['null', 'dead', 'null']);
    expect(await a.engine.deadLetters.list('account', 0, 9)).toMatchObject([
      { data: { n: 2 }, failedReason: 'The codec "picky" can\'t read the payload (Error).' },
    ]);
    expect(a.log.lines.join()).not.toContain('hunter2');
  });

  test('that are invalid are not retried when the handler fails: only the jobs that it got are', async () => {
    const options = { defaultJobOptions: { attempts: 2 } };
    const a = await pod('A', { max: 10, validator: checked }, options);
    await a.add('1', 1, 2, 3, 4);
    await cluster.batch.failSome({ 1: new Error('once more'), 4: new Error('once more') });
    expect(endsOf(a)).toEqual(['retrying', 'null', 'failed', 'retrying']);
    expect(cluster.batch.ns).toEqual([1, 4]);
    await cluster.batch.fail(new Error('all'));
    expect(cluster.failedReasons()).toEqual([expect.stringContaining('invalid data'), 'all', 'all']);
  });

  test('not given to the handler cannot be named in its failure: all jobs that it got fail', async () => {
    const a = await pod('A', { max: 10, validator: checked });
    await a.add('1', 1, 3);
    const invalid = entity()?.active[1]?.id as string;
    await cluster.batch.fail(new BatchFailure([{ job: { id: invalid }, error: new Error('mine') }]));
    expect(endsOf(a)).toEqual(['failed', 'failed']);
    expect(cluster.failedReasons()).toEqual([
      expect.stringMatching(/not part of its batch/),
      expect.stringMatching(/invalid data/),
    ]);
  });

  test('are each read, and their results written, by their own codec', async () => {
    const old = await cluster.pod('old', { producerOnly: true });
    await old.add('1', 0, 1);
    const producer = await cluster.pod('producer', { producerOnly: true, codec: rich });
    const request = { entityType: 'account', entityId: '1', name: 'withdraw', data: { n: 2, cents: 5n } };
    await producer.engine.enqueue(request);
    const a = await pod('A', { max: 10 }, { codec: rich, maxResultBytes: 60 });
    await cluster.clock.advance(2000);
    expect(cluster.batch.jobs.map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }, { n: 2, cents: 5n }]);
    await cluster.batch.end([{ n: 1 }, 'x'.repeat(60), 5n]);
    expect(endsOf(a)).toEqual(['{"n":1}', 'null', '{"json":"5","meta":{"values":["bigint"],"v":1}}']);
    expect(a.log.lines.join()).toMatch(/completed, but its result has 62 bytes, more than maxResultBytes/);
  });

  test('whose result is refused complete, the caller gets an error, and the others get their results', async () => {
    const a = await pod('A', { max: 10 });
    const calls = Promise.allSettled([1, 2, 3].map(n => a.call('1', n)));
    await settle();
    await cluster.batch.end([{ at: new Date(0) }, Promise.resolve('hunter2'), { rows: [new Map([['hunter2', 1]])] }]);
    const withheld = (why: RegExp) => ({
      status: 'rejected',
      reason: { code: 'RESULT_UNAVAILABLE', message: expect.stringMatching(why) },
    });
    expect(await calls).toMatchObject([
      { value: { at: '1970-01-01T00:00:00.000Z' } },
      withheld(/its result can't be stored \(it is a promise that was not awaited: await it\)/),
      withheld(/its result can't be stored \(rows\[0\] is an instance of Map, /),
    ]);
    expect(endsOf(a)).toEqual(['{"at":"1970-01-01T00:00:00.000Z"}', 'null', 'null']);
    expect(a.log.lines).toHaveLength(2);
    expect(a.log.lines.join()).not.toContain('hunter2');
  });

  test('share the context of the jobs that the handler gets', async () => {
    let tenant = '';
    const ran: ContextValues[] = [];
    const context: EngineOptions['context'] = {
      keys: ['tenant'],
      get: () => ({ tenant }),
      run: (values, callback) => {
        ran.push(values);
        return callback();
      },
    };
    const a = await pod('A', { max: 10, validator: checked }, { context, codec: rich });
    const added = [1, 3, 4].map(n => {
      tenant = n === 3 ? 'another' : 'one';
      return a.engine.enqueue({ entityType: 'account', entityId: '1', name: 'withdraw', data: { n } });
    });
    await Promise.all(added);
    await settle();
    expect(cluster.batch.ns).toEqual([1, 4]);
    expect(ran).toEqual([{ tenant: 'one' }]);
  });

  describe('with a codec that a pod does not know', () => {
    /** Plain jobs 0 and 1, job 2 in the rich codec, and a plain job 3. */
    const fill = async () => {
      const plain = await cluster.pod('plain', { producerOnly: true });
      const producer = await cluster.pod('producer', { producerOnly: true, codec: rich });
      await plain.add('1', 0, 1);
      await producer.add('1', 2);
      await plain.add('1', 3);
    };

    test('race 13: are in no batch, and are left for pods that know it, with all jobs behind them', async () => {
      await fill();
      const old = await pod('old', { max: 10 });
      await cluster.clock.advance(2000);
      expect(cluster.batch.ns).toEqual([0, 1]);
      await cluster.batch.end();
      await cluster.clock.advance(20_000);
      expect(cluster.batches).toEqual(['old:1:0,1']);
      expect(cluster.failedReasons()).toEqual([]);
      expect(old.log.lines).toEqual([expect.stringMatching(/No codec "superjson" on this pod for job "withdraw"/)]);
      await pod('new', { max: 10 }, { readCodecs: [rich] });
      await cluster.clock.advance(2000);
      expect(cluster.batches).toEqual(['old:1:0,1', 'new:1:2,3']);
      expect(cluster.batch.jobs[0]?.attempt).toBe(1);
      await cluster.batch.end();
    });

    test('fail alone and at once after a time, even if a batch waits, and the entity goes on', async () => {
      await fill();
      const unknownJobGraceMs = 20_000;
      const workerDefaults = { heartbeatTTL: LEASE_MS / 1000, unknownJobGraceMs };
      const old = await pod('old', { max: 10, maxWaitMs: 60_000 }, { workerDefaults });
      await cluster.clock.advance(2000);
      await cluster.batch.end();
      await cluster.clock.advance(unknownJobGraceMs - 5000);
      expect(cluster.failedReasons()).toEqual([]);
      await cluster.clock.advance(10_000);
      expect(cluster.failedReasons()).toEqual([expect.stringMatching(/No codec "superjson" on this pod.*readCodecs/)]);
      expect(settled(old).map(({ job }) => job.data)).toEqual([{ json: { n: 2 } }]);
      expect(cluster.batches).toEqual(['old:1:0,1']);
      await cluster.clock.advance(60_000);
      expect(cluster.batch.ns).toEqual([3]);
    });
  });
});
