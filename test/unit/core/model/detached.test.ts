/** The engine's own asynchronous context, in which calls to Redis are batched and sent. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { detached } from '../../../../src/core/model/detached.js';
import { Channel } from '../../../../src/store/redis/connection/channel.js';
import { ManualClock } from '../../../support/clock.js';

const callers = new AsyncLocalStorage<string>();
const caller = () => callers.getStore();

test('detached code and all code that it starts run in no context, and its caller is in its own context again afterwards', async () => {
  const found: unknown[] = [];
  const run = async () => {
    found.push(caller());
    await turn();
    found.push(caller());
    return 'result';
  };
  await callers.run('a', async () => {
    found.push(await detached(run), caller());
    expect(() =>
      detached(() => {
        throw new Error('thrown on');
      }),
    ).toThrow('thrown on');
    expect(caller()).toBe('a');
  });
  expect(found).toEqual([undefined, undefined, 'result', 'a']);
});

test('a context that is entered in detached code ends with it', () => {
  callers.run('a', () => {
    detached(() => callers.enterWith('left behind'));
    expect(detached(caller)).toBeUndefined();
    detached(() => {
      detached(() => callers.enterWith('left behind'));
      expect(caller()).toBeUndefined();
    });
    expect(caller()).toBe('a');
  });
});

test("a batch of calls to Redis, and the timer that watches it, are in no caller's context", async () => {
  const found: unknown[] = [];
  class Clock extends ManualClock {
    override after(...args: Parameters<ManualClock['after']>) {
      found.push(caller());
      return super.after(...args);
    }
  }
  const redis = Object.assign(new EventEmitter(), {
    status: 'ready',
    sendCommand: () => {
      found.push(caller());
      return new Promise(() => {});
    },
  });
  const channel = new Channel({
    redis: redis as never,
    script: '',
    header: [],
    timeoutMs: 1000,
    watchMs: 100,
    clock: new Clock(),
    onRead: () => {},
  });
  const call = () => void channel.call('op', [], () => undefined).catch(() => {});
  callers.run('of a tick', call);
  await turn();
  await turn();
  callers.run('of a batch that is full', () => {
    for (let n = 0; n < 64; n++) call();
  });
  channel.close();
  expect(found).toEqual([undefined, undefined, undefined]);
});
