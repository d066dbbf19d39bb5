/**
 * A job that arrives exactly when its idle worker closes: in each round the worker sends its release, and a producer, on a
 * connection of its own, sends its job at the same moment, in either order. Races 4 and 11, a thousand times.
 */

import { Engine } from '../../src/core/engine.js';
import { HandlerTable } from '../../src/core/handlers/handler-table.js';
import { NO_EVENTS } from '../../src/core/model/events.js';
import type { NewJob } from '../../src/core/model/job.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { systemClock } from '../../src/nest/system.js';
import { FAULT_MS } from '../support/fault-scenario.js';
import { RecordingLog } from '../support/log.js';
import { Random } from '../support/random.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { isFull } from '../support/test-length.js';
import { eventually } from '../support/wait.js';

const ENTITIES = 500;
const ROUNDS = isFull ? 10_000 : 1000;

test(
  `${ROUNDS} jobs that arrive exactly at idle close each run once, in order`,
  async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
    const random = new Random(seed);
    const cluster = new RedisCluster();
    const config = resolveOptions({
      workerDefaults: { heartbeatTTL: 1, stalledInterval: 200 },
      entities: { account: { idleTimeoutSeconds: 0.001 } },
    });
    const producer = await cluster.pod(config, 'producer');
    const runs = new Map<string, number[]>();
    const added = new Map<string, number>();
    let rounds = 0;
    const refused: unknown[] = [];

    const add = (entityId: string) => {
      const n = added.get(entityId) ?? 0;
      added.set(entityId, n + 1);
      const entity = { type: 'account', id: entityId };
      const job: NewJob = {
        entity,
        name: 'work',
        data: JSON.stringify({ n }),
        options: config.entityType('account').jobOptions,
      };
      producer.add(job, 'route-only').catch(error => refused.push(error));
    };
    /** With each call of a release the producer adds a job. */
    const atRelease = (store: EntityStore): EntityStore =>
      new Proxy(store, {
        get(real, name: keyof EntityStore) {
          const member: unknown = real[name];
          if (name !== 'release') return typeof member === 'function' ? member.bind(real) : member;
          return (...args: Parameters<EntityStore['release']>) => {
            const { id } = args[0].entity;
            const isRound = args[1] === 'idle' && rounds < ROUNDS && ++rounds > 0;
            if (isRound && random.next() < 0.5) add(id);
            else if (isRound) setImmediate(add, id);
            return real.release(...args);
          };
        },
      });

    const handlers = new HandlerTable();
    const handle = (job: { data: unknown }, { entityId }: { entityId: string }) =>
      void runs.set(entityId, [...(runs.get(entityId) ?? []), (job.data as { n: number }).n]);
    handlers.add('account', '*', { runner: handle, origin: 'test' });
    const worker = await cluster.pod(config, 'worker');
    const store = atRelease(worker);
    const engine = new Engine({
      store,
      config,
      handlers,
      clock: systemClock,
      log: new RecordingLog(),
      events: NO_EVENTS,
    });
    try {
      await engine.connect();
      engine.work();
      for (let e = 0; e < ENTITIES; e++) add(`e${e}`);
      const ran = () => [...runs.values()].reduce((sum, { length }) => sum + length, 0);
      await eventually('all rounds have been', () => rounds >= ROUNDS, FAULT_MS / 2);
      await eventually('every job has run', () => ran() >= ENTITIES + ROUNDS, 10_000);
      expect(refused).toEqual([]);
      for (const [entityId, ns] of runs) expect(ns).toEqual([...Array(added.get(entityId)).keys()]);
      process.stderr.write(`[fault] job at idle close: rounds ${rounds}, lost 0, reruns 0 (seed ${seed})\n`);
    } finally {
      await engine.close();
      await cluster.close();
    }
  },
  FAULT_MS,
);
