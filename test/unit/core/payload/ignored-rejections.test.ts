/**
 * Promises in values that are refused or dropped: their rejections are handled. Jest fails a test with an unhandled one. Each promise
 * rejects at once, so it would be reported in the turn in which it was made.
 */

import { runInNewContext } from 'node:vm';
import { Injectable } from '@nestjs/common';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { jsonCodec, type PayloadCodec } from '../../../../src/core/payload/codec.js';
import { encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { ignoreRejections } from '../../../../src/core/payload/ignored-rejections.js';
import { jsonText } from '../../../../src/core/payload/json-values.js';
import { encodePayload, encodeProgress } from '../../../../src/core/payload/payload.js';
import { nextTurn } from '../../../../src/core/ports/own-timers.js';
import { STOP_GRACE_MS, TimeLimit } from '../../../../src/core/run/run-limit.js';
import { resultAsText } from '../../../../src/core/run/stored-result.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { ManualClock, settle } from '../../../support/clock.js';
import { MemoryPods } from '../../../support/memory-pods.js';
import { application } from '../../../support/nest-application.js';
import { nested } from '../../../support/value-table.js';

const rejecting = () => Promise.reject(new Error('no'));
const throwing = (): never => {
  throw new Error('no');
};
const refused = { code: 'UNSERIALIZABLE_DATA' };

// Node reports an unhandled rejection after the microtasks of a turn.
afterEach(nextTurn);

describe('the rejections in a refused value', () => {
  test.each<[string, () => unknown]>([
    ['a promise', rejecting],
    ['several promises', () => ({ items: [1, 2, 3].map(rejecting), at: { last: rejecting() } })],
    ['a promise behind the invalid part', () => [1n, rejecting()]],
    ['promises in a map and a set', () => [new Map([['a', { in: rejecting() }]]), new Set([rejecting()])]],
    ['a promise of another realm', () => [runInNewContext('Promise.reject(new Error("no"))')]],
    [
      'a promise in a cycle',
      () => {
        const value: Record<string, unknown> = { p: rejecting() };
        value['self'] = value;
        return { self: value, last: rejecting() };
      },
    ],
    ['a promise of a toJSON', () => ({ toJSON: rejecting })],
    ['several promises of a toJSON', () => ({ toJSON: () => ({ list: [rejecting(), rejecting()] }) })],
    ['a promise of a getter', () => Object.defineProperty({}, 'a', { get: rejecting, enumerable: true })],
    [
      'a promise behind hostile objects',
      () => [
        1n,
        new Proxy({}, { ownKeys: throwing, get: throwing, getPrototypeOf: throwing }),
        Object.defineProperty([], 0, { get: throwing }),
        Object.defineProperty({}, 'a', { get: throwing, enumerable: true }),
        { [Symbol.toStringTag]: 'Map' },
        { [Symbol.toStringTag]: 'Promise' },
        rejecting(),
      ],
    ],
    ['a promise behind a value that is too deep', () => [nested(100_000), rejecting()]],
  ])('are handled for %s', (_, make) => {
    expect(() => jsonText(make())).toThrow(expect.objectContaining(refused));
  });

  test('are handled without a second read: no getter, no toJSON and no then is called again', () => {
    const called: string[] = [];
    const note = (name: string) => () => void called.push(name);
    ignoreRejections([
      // biome-ignore lint/suspicious/noThenProperty: a query that runs when it is awaited
      { then: note('then'), toJSON: note('toJSON') },
      Object.defineProperty({}, 'a', { get: note('getter'), enumerable: true }),
    ]);
    expect(called).toEqual([]);
  });

  test('are searched within bounds', () => {
    const endless = (): object =>
      new Proxy(
        {},
        {
          ownKeys: () => ['a'],
          getOwnPropertyDescriptor: () => ({ value: endless(), configurable: true, enumerable: true }),
        },
      );
    ignoreRejections([endless(), new Array(4_000_000_000)]);
  });
});

describe('the rejections in payloads and results', () => {
  const throws: PayloadCodec = { ...jsonCodec, name: 'throws', encode: throwing };
  const leaves: PayloadCodec = { ...jsonCodec, name: 'leaves', encode: () => 'xxx' };
  const { type, codecs } = { type: resolveOptions({}).entityType('account'), codecs: resolveOptions({}).codecs };

  test('are handled if a codec throws or returns no JSON, and in progress', () => {
    const secret = encryptedCodec({ keyId: '1', encrypt: text => text, decrypt: text => text });
    for (const codec of [throws, secret, { ...jsonCodec, name: 'itself' }])
      expect(() => encodePayload(codec, { p: rejecting() }, 'x')).toThrow(expect.objectContaining(refused));
    expect(() => encodeProgress([rejecting()], 'x')).toThrow(expect.objectContaining(refused));
  });

  test('are handled in a result that is refused, that its codec cannot write, or that is too large', () => {
    for (const codec of [throws, leaves]) codecs.add(codec);
    const lost = (codec: string | undefined) =>
      resultAsText([rejecting(), rejecting()], { envelope: { codec } } as never, {
        codecs,
        type: { ...type, maxResultBytes: 4 },
      }).lost;
    expect([undefined, 'throws', 'leaves'].map(lost)).toEqual([
      expect.stringContaining('await it'),
      expect.stringContaining("can't write it"),
      expect.stringContaining('more than maxResultBytes'),
    ]);
  });

  test('are handled in the result of a handler that was given up', async () => {
    const clock = new ManualClock();
    let end: (value: unknown) => void = () => {};
    const run = new TimeLimit(clock, 10).within(
      () =>
        new Promise(resolve => {
          end = resolve;
        }),
    );
    const failed = expect(run).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' });
    await clock.advance(10 + STOP_GRACE_MS);
    await failed;
    end({ list: [rejecting()] });
    await settle();
  });

  describe('in an engine', () => {
    let cluster: MemoryPods;
    beforeEach(() => {
      cluster = new MemoryPods();
    });
    afterEach(() => cluster.close());
    const request = (data: unknown, name = 'withdraw') => ({ entityType: 'account', entityId: '1', name, data });

    test('are handled if an enqueue is refused for any reason', async () => {
      const { engine } = await cluster.pod('a', { codec: leaves, entities: { account: { maxPayloadBytes: 2 } } });
      for (const [name, code] of [
        ['', 'INVALID_COMMAND'],
        ['x', 'PAYLOAD_TOO_LARGE'],
      ])
        await expect(engine.enqueue(request({ p: rejecting() }, name))).rejects.toMatchObject({ code });
    });

    test('are handled in results, alone and in a batch, and the jobs complete', async () => {
      const a = await cluster.pod('a');
      cluster.returns = () => ({ saved: [rejecting(), rejecting()] });
      await a.add('1', 0);
      cluster.instant = false;
      const b = await cluster.pod('b', {}, ['*'], { withdraw: { max: 10 } });
      await a.engine.close();
      await b.add('2', 1, 2);
      await cluster.batch.end([rejecting(), [rejecting()]]);
      await b.add('2', 3);
      // One result for each, or none.
      await cluster.batch.end({ all: rejecting() });
      const lines = [...a.log.lines, ...b.log.lines].filter(line => line.includes('completed'));
      expect(lines).toHaveLength(4);
    });
  });
});

@QueueEntity('account')
class Withdraw {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: unknown,
  ) {}
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('*')
  any() {}
}

test('the rejections in each payload of a bulk, a flow, a schedule and a call are handled, also behind the refused payload', async () => {
  const app = await application([Accounts]);
  await app.init();
  const bus = app.get(QueueBus);
  const command = () => new Withdraw('1', rejecting());
  const job = (data: unknown = { p: rejecting() }) => ({ entityType: 'account', entityId: '1', name: 'x', data });
  const calls: (() => Promise<unknown>)[] = [
    () => bus.enqueue(command()),
    () => bus.enqueueJob(job()),
    () => bus.enqueueBulk([command(), command(), command()]),
    () => bus.enqueueFlow({ command: command(), children: [{ command: command() }, { job: job() }] }),
    () => bus.enqueueFlow({ job: job({}), children: [{ job: job({}), children: [{ job: job() }] }, { job: job() }] }),
    () => bus.enqueueJobAndWait(job(), { timeoutMs: 1000 }),
    () => bus.scheduleJob(job(), { id: 's', every: 60_000 }),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject(refused);
  // They are refused before the engine has them.
  await expect(bus.forEntity('account').enqueue({ amount: rejecting() })).rejects.toThrow();
  await expect(bus.scheduleJob(job(), { id: '', every: 60_000 })).rejects.toThrow();
  await expect(bus.enqueueJobAndWait(job(), { timeoutMs: -1 })).rejects.toThrow();
  await app.close();
});
