/** I8 and I9: hundreds of thousands of entities come, are worked and go, and neither Redis nor the process grows with them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } from '../../src/index.js';
import { FAULT_MS } from '../support/fault-scenario.js';
import { isFull } from '../support/test-length.js';
import { eventually } from '../support/wait.js';

const ROUNDS = 5;
const ENTITIES = (isFull ? 100_000 : 5000) / ROUNDS;
/** Noise in the size of the heap. */
const NOISE_MB = 8;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

let done = 0;

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 0.1 })
@Injectable()
class Accounts {
  @JobHandler('*')
  handle() {
    done++;
  }
}

test(
  `${ROUNDS * ENTITIES} entities leave only a fence each, which expires, and nothing in the process`,
  async () => {
    const server = await startRedis({ alwaysPrivate: true });
    const redis = new Redis(server.url);
    @Module({
      imports: [AtomicQueuesModule.forRoot({ redis: { url: server.url }, workerDefaults: { heartbeatTTL: 1 } })],
      providers: [Accounts],
    })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    try {
      const bus = app.get(QueueBus);
      const heaps: number[] = [];
      const connections: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        for (let e = 0; e < ENTITIES; e += 500) {
          const ids = [...Array(500).keys()].map(i => `${round}-${e + i}`);
          await Promise.all(ids.map(entityId => bus.enqueueJob({ entityType: 'account', entityId, name: 'x' })));
        }
        await eventually('all have run', () => done === (round + 1) * ENTITIES, 60_000);
        const clients = String(await redis.client('LIST')).split('\n');
        connections.push(clients.filter(line => line.includes('atomic-queues:')).length);
        await eventually('all are released', async () => (await redis.zcard('aq:$:due:account')) === 0, 60_000);
        collectGarbage();
        heaps.push(process.memoryUsage().heapUsed / 2 ** 20);
      }
      await redis.eval(EXPIRE_EVENTS, 0);
      const left = await kinds(redis);
      process.stderr.write(
        `[fault] ${ROUNDS * ENTITIES} entities: heap MB after each fifth ${heaps.map(mb => mb.toFixed(1)).join(' ')}, ` +
          `connections ${Math.max(...connections)}, keys ${JSON.stringify(left)}\n`,
      );
      expect(left).toEqual({ fence: ROUNDS * ENTITIES, system: expect.any(Number) });
      expect(left['system']).toBeLessThanOrEqual(5);
      expect(Math.max(...heaps.slice(1))).toBeLessThanOrEqual((heaps[0] ?? 0) + NOISE_MB);
      expect(Math.max(...connections)).toBeLessThanOrEqual(4);
      const [fence = ''] = (await redis.scan('0', 'MATCH', '*:$:worker', 'COUNT', 1000))[1];
      expect(await redis.ttl(fence)).toBeGreaterThan(0);
    } finally {
      await app.close();
      await redis.quit();
      await server.stop();
    }
  },
  FAULT_MS,
);

/** Removes the keys that expire within a minute anyway; fails if another key would stay. */
const EXPIRE_EVENTS = `
for _, key in ipairs(redis.call('KEYS', '*:queue:events')) do
  local ttl = redis.call('TTL', key)
  if ttl < 0 or ttl > 60 then error(key .. ' does not expire within a minute') end
  redis.call('DEL', key)
end`;

/** The number of keys of each kind. */
async function kinds(redis: Redis): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 5000);
    cursor = next;
    for (const key of keys) {
      const kind = key.endsWith(':$:worker') ? 'fence' : key.startsWith('aq:$:') ? 'system' : key;
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  }
  return counts;
}
