/** Cold entities under load, on real Redis: five pods, and all traffic on one of them. */

import { Engine } from '../../src/core/engine.js';
import { HandlerTable } from '../../src/core/handlers/handler-table.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { systemClock } from '../../src/nest/system.js';
import { RecordingLog } from '../support/log.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { eventually } from '../support/wait.js';

const PODS = ['a', 'b', 'c', 'd', 'e'];
const ENTITIES = 1000;

test('1,000 entities over 5 pods, traffic on one only: no pod owns more than 1.5 times the mean', async () => {
  const cluster = new RedisCluster();
  const config = resolveOptions({});
  const engines: Engine[] = [];
  let ran = 0;
  for (const podId of PODS) {
    const handlers = new HandlerTable();
    handlers.add('account', '*', { runner: () => void ran++, origin: podId });
    const store = await cluster.pod(config, podId);
    const engine = new Engine({ store, config, handlers, clock: systemClock, log: new RecordingLog() });
    await engine.connect();
    engine.work();
    engines.push(engine);
  }
  const bases = [...Array(ENTITIES).keys()].map(id => cluster.base({ type: 'account', id: String(id) }));
  const owners = async () => {
    const counts = new Map<string, number>();
    const found = await Promise.all(bases.map(base => cluster.redis.hget(`${base}:$:worker`, 'owner')));
    for (const owner of found) if (owner) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return counts;
  };
  try {
    // Each has said, in one renewal, that it is there, and learnt of the others in the next.
    await eventually(
      'all are known',
      async () => (await cluster.redis.zcard(`${cluster.prefix}:$:pods:account`)) === 5,
    );
    await new Promise(resolve => setTimeout(resolve, config.leaseMs / 3));
    for (let id = 0; id < ENTITIES; id += 50) {
      const ids = [...Array(50).keys()].map(i => id + i);
      const jobs = ids.map(entityId => ({ entityType: 'account', entityId, name: 'x', data: {} }));
      await engines[0]?.enqueueBulk(jobs);
    }
    await eventually('all have run', () => ran === ENTITIES);
    const counts = await owners();
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(ENTITIES);
    expect([...counts.keys()].sort()).toEqual(PODS);
    for (const count of counts.values()) expect(count).toBeLessThanOrEqual((1.5 * ENTITIES) / PODS.length);
    process.stderr.write(`share of 1,000 entities: ${PODS.map(pod => counts.get(pod)).join(' ')}\n`);
  } finally {
    await Promise.all(engines.map(engine => engine.close()));
    await cluster.close();
  }
});
