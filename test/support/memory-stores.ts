/** Several pods' stores on one memory server whose clock the test sets, without engines: for tests of the protocol itself. */

import { randomBytes } from 'node:crypto';
import { entityKey } from '../../src/core/model/entity.js';
import { MemoryEntityStore } from '../../src/store/memory/memory-store.js';
import { promote } from '../../src/store/memory/queue.js';
import { MemoryServer } from '../../src/store/memory/server.js';
import { ManualClock } from './clock.js';
import type { Cluster } from './contract-pods.js';
import { plantedJob } from './planted-job.js';

/** Longer than any lease. */
const HEARD_FOR_LONG_MS = 3_600_000;

export async function createMemoryStores(leaseMs = 3000, clock = new ManualClock()): Promise<Cluster> {
  const server = new MemoryServer(clock, leaseMs);
  const stores: MemoryEntityStore[] = [];
  const heardFor = (ms: number) => {
    server.heard = { sinceMs: server.now() - ms, untilMs: server.now() + 60_000 };
  };
  return {
    async pod(config) {
      const store = new MemoryEntityStore(server, config, randomBytes(4).toString('hex'));
      stores.push(store);
      return store;
    },
    async expireLeases() {
      heardFor(HEARD_FOR_LONG_MS);
      for (const { owner } of server.entities.values()) if (owner) owner.untilMs = 0;
    },
    async ripenDelayed(entity) {
      clock.stall(60_001);
      // time passes for jobs only: it is no silence of all pods
      if (server.heard) server.heard = { ...server.heard, untilMs: server.heard.untilMs + 60_001 };
      promote(server.entity(entity), server.now());
    },
    async pause(entity, paused) {
      server.entity(entity).paused = paused;
    },
    async timePasses(ms) {
      clock.stall(ms);
    },
    async addPast(entity, data) {
      server.entity(entity).wait.push(plantedJob('past', JSON.stringify(data)));
    },
    async endHold(entity) {
      server.entity(entity).hold = undefined;
    },
    async removeJob(ref, jobId) {
      const entity = server.entity(ref);
      entity.wait = entity.wait.filter(({ id }) => id !== jobId);
      entity.active = entity.active.filter(({ id }) => id !== jobId);
    },
    keysOf: async entity => (server.find(entity) ? [entityKey(entity)] : []),
    failedIds: async entity => server.entity(entity).failed.map(({ id }) => id),
    dueScore: async entity => server.due.get(entityKey(entity)),
    async dueInMs(entity) {
      const score = server.due.get(entityKey(entity));
      return score === undefined ? undefined : score - server.now();
    },
    async fallSilent() {
      heardFor(HEARD_FOR_LONG_MS);
      server.alive.clear();
    },
    async heardFor(ms) {
      heardFor(ms);
    },
    heardForMs: async () => server.now() - (server.heard?.sinceMs ?? server.now()),
    async allFallSilent() {
      server.heard = undefined;
    },
    async close() {
      for (const store of stores) await store.close();
    },
  };
}
