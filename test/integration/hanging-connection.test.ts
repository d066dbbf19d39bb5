/** Races 14 and 15: a connection that hangs, open and silent, is replaced; the others continue meanwhile. */
import { Injectable } from '@nestjs/common';
import { AtomicQueuesEvents, JobHandler, WorkerProcessor } from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually } from '../support/wait.js';

const seen: number[] = [];

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('*')
  handle(job: { data: { n: number } }) {
    seen.push(job.data.n);
  }
}

const apps = new RedisApps({ providers: [Accounts] }, { commandTimeoutMs: 1000, workerDefaults: { heartbeatTTL: 1 } });
const { redis, prefix } = apps;
const proxy = new RedisProxy();
let app: RedisApp;

const enqueue = (n: number) => app.bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'note', data: { n } });
const runs = (n: number) => eventually(`job ${n} has run`, () => seen.includes(n));
const leaseUntil = async () => Number(await redis.hget(`${prefix}:account:1:queue:$:worker`, 'until'));

describe('a connection that hangs', () => {
  beforeAll(async () => {
    app = await apps.start({ redis: { url: await proxy.start() } });
  });
  afterAll(async () => {
    await apps.clear();
    await proxy.close();
    await apps.quit();
  });

  test('for the heartbeat: claims are renewed again, and work continues', async () => {
    await enqueue(0);
    await runs(0);
    await eventually('the heartbeat is connected', () => proxy.count('heartbeat') === 1);
    proxy.freeze('heartbeat');
    const frozen = await leaseUntil();
    await eventually('the claim is renewed on a new connection', async () => (await leaseUntil()) > frozen + 1e6);
    expect(proxy.count('heartbeat')).toBe(2);
    await enqueue(1);
    await runs(1);
  });

  test('for commands: the outcome of a pending call is unknown, and the next enqueue works', async () => {
    const events: string[] = [];
    const subscription = app.get(AtomicQueuesEvents).stream.subscribe(({ type }) => events.push(type));
    proxy.freeze('commands');
    await expect(enqueue(2)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await enqueue(3);
    await runs(3);
    expect(proxy.count('commands')).toBe(2);
    expect(events.filter(type => type.startsWith('connection'))).toEqual(['connection.lost', 'connection.restored']);
    subscription.unsubscribe();
  });

  test('for wake-ups: the connection is replaced', async () => {
    proxy.freeze('wake-ups');
    await eventually('there is a new one', () => proxy.count('wake-ups') === 2, 25_000);
  });
});
