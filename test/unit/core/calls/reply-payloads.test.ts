/** Replies and payloads: a result is read by the codec of its job, which may differ from the caller's; results that are withheld, and why. */
import { SuperJSON } from 'superjson';
import { z } from 'zod';
import { schemaValidator } from '../../../../src/core/handlers/validation.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { superjsonCodec } from '../../../../src/core/payload/superjson-codec.js';
import { settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';

const rich = superjsonCodec(new SuperJSON());
const result = { at: new Date(5), cents: 2n ** 70n };

describe('a call that waits for a result', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  test('gets it as the handler returned it, on the same pod and from another, with the context of the caller', async () => {
    const context: EngineOptions['context'] = {
      keys: ['tenant'],
      get: () => ({ tenant: 'one' }),
      run: (_, callback) => callback(),
    };
    const a = await cluster.pod('a', { codec: rich, context });
    const b = await cluster.pod('b', { producerOnly: true, codec: rich, context });
    const contexts: unknown[] = [];
    cluster.returns = (_, n, { contextValues }) => {
      contexts.push(contextValues);
      return { ...result, n };
    };
    expect(await a.call('1', 1)).toEqual({ ...result, n: 1 });
    expect(await b.call('1', 2)).toEqual({ ...result, n: 2 });
    expect(contexts).toEqual(Array(2).fill({ tenant: 'one' }));
    cluster.returns = () => undefined;
    expect(await a.call('1', 3)).toBeNull();
  });

  describe('for the result of a job that an earlier enqueue added and that is retained,', () => {
    const kept = { jobId: 'one', removeOnComplete: false };
    /** The result of a job that a pod with `first` options has run, for a caller with `second` options. */
    const ask = async (first: EngineOptions, second: EngineOptions) => {
      cluster.returns = () => ({ n: 7 });
      const a = await cluster.pod('a', first);
      expect(await a.call('1', 1, {}, kept)).toEqual({ n: 7 });
      const b = await cluster.pod('b', { producerOnly: true, ...second });
      return b.call('1', 2, {}, kept);
    };
    const secret = encryptedCodec({
      keyId: '1',
      encrypt: text => Buffer.from(text).toString('base64'),
      decrypt: text => Buffer.from(text, 'base64').toString(),
    });

    test.each<[string, EngineOptions, EngineOptions]>([
      ['plain, by a pod that writes with a codec', {}, { codec: rich }],
      ['of a former codec, by a pod that writes plain', { codec: rich }, { readCodecs: [rich] }],
      [
        'of a former codec, by a pod that writes with another',
        { codec: secret },
        { codec: rich, readCodecs: [secret] },
      ],
    ])('reads it by the codec of that job: %s', async (_, first, second) => {
      expect(await ask(first, second)).toEqual({ n: 7 });
    });

    test("fails if the caller's pod does not know its codec", async () => {
      await expect(ask({ codec: rich }, {})).rejects.toMatchObject({
        code: 'RESULT_UNAVAILABLE',
        message: expect.stringMatching(/has completed, but its result can't be read: No codec "superjson".*readCodecs/),
      });
    });
  });

  test("learns why a result is withheld, by the bound of the job's type", async () => {
    const a = await cluster.pod('a', { codec: rich, entities: { account: { maxResultBytes: 20 } } });
    cluster.returns = () => 5n;
    await expect(a.call('1', 1)).rejects.toMatchObject({
      code: 'RESULT_UNAVAILABLE',
      message: expect.stringMatching(/its result has \d+ bytes, more than maxResultBytes \(20\)/),
    });
    cluster.returns = () => ({ callback: () => 1 });
    await expect(a.call('1', 2)).rejects.toMatchObject({
      code: 'RESULT_UNAVAILABLE',
      message: expect.stringMatching(
        /its result can't be stored \(its codec "superjson" .*: json\.callback is a function/,
      ),
    });
  });

  describe('for a job of a batch', () => {
    const validator = schemaValidator(z.object({ n: z.number().refine(n => n % 3 !== 0, 'is a multiple of three') }));
    const start = () =>
      cluster.pod('a', { codec: rich }, ['*'], { withdraw: { max: 3, maxWaitMs: 60_000, validator } });

    test('gets its own result, and an error if its job is invalid', async () => {
      const a = await start();
      cluster.instant = false;
      const calls = Promise.allSettled([1, 2, 3].map(n => a.call('1', n)));
      await settle();
      expect(cluster.batch.ns).toEqual([1, 2]);
      await cluster.batch.end([result, 5n]);
      expect(await calls).toMatchObject([
        { value: result },
        { value: 5n },
        { reason: { code: 'HANDLER_FAILED', originalName: 'ValidationError', originalCode: 'VALIDATION_FAILED' } },
      ]);
    });

    test('has the whole batch in its chain, even if its own job is invalid', async () => {
      const a = await start();
      // The handler of entity 2 waits for the invalid job of the batch of entity 1, which waits for entity 2.
      const invalid = { entityType: 'account', entityId: '1', name: 'withdraw', data: { n: 3 } };
      cluster.returns = pod => pod.engine.enqueueAndWait(invalid, { timeoutMs: 10_000 }).catch(error => error.code);
      const outer = a.engine.enqueueAndWait(
        { entityType: 'account', entityId: '2', name: 'other', data: { n: 0 } },
        { timeoutMs: 10_000 },
      );
      await settle();
      const outcomes: unknown[] = [];
      cluster.inBatch = async pod => {
        const other = { entityType: 'account', entityId: '2', name: 'other', data: { n: 9 } };
        outcomes.push(await pod.engine.enqueueAndWait(other, { timeoutMs: 1000 }).catch(error => error.code));
      };
      await a.add('1', 1, 2);
      await settle();
      expect(cluster.batches).toEqual(['a:1:1,2']);
      expect(outcomes).toEqual(['DEADLOCK']);
      expect(await outer).toBe('HANDLER_FAILED');
    });
  });
});
