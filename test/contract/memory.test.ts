import { randomBytes } from 'node:crypto';
import { entityWord } from '../../src/core/entity.js';
import { MemoryServer } from '../../src/store/memory/memory-server.js';
import { MemoryEntityStore } from '../../src/store/memory/memory-store.js';
import { ManualClock } from '../support/clock.js';
import { storeContract } from './store-contract.js';

storeContract('memory', async () => {
  const clock = new ManualClock();
  const server = new MemoryServer(clock, 3000);
  const stores: MemoryEntityStore[] = [];
  return {
    async pod(config) {
      const store = new MemoryEntityStore(server, config, randomBytes(4).toString('hex'));
      stores.push(store);
      return store;
    },
    async expireLeases() {
      for (const { owner } of server.entities.values()) if (owner) owner.untilMs = 0;
    },
    async ripenDelayed(entity) {
      clock.stall(60_001);
      server.promote(server.entity(entity));
    },
    async pause(entity, paused) {
      server.entity(entity).paused = paused;
    },
    failedIds: async entity => server.entity(entity).failed.map(({ id }) => id),
    dueScore: async entity => server.due.get(entityWord(entity)),
    async close() {
      for (const store of stores) await store.close();
    },
  };
});
