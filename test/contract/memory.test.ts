import { randomBytes } from 'node:crypto';
import { entityWord } from '../../src/core/entity.js';
import { MemoryServer } from '../../src/store/memory/memory-server.js';
import { MemoryEntityStore } from '../../src/store/memory/memory-store.js';
import { ManualClock } from '../support/clock.js';
import { answerContract } from './answer-contract.js';
import { batchContract } from './batch-contract.js';
import { controlContract } from './control-contract.js';
import { deadLetterContract } from './dead-letter-contract.js';
import { envelopeContract } from './envelope-contract.js';
import { flowContract } from './flow-contract.js';
import { intakeContract } from './intake-contract.js';
import { lifecycleContract } from './lifecycle-contract.js';
import { payloadContract } from './payload-contract.js';
import { restContract } from './rest-contract.js';
import { retentionContract } from './retention-contract.js';
import { retryContract } from './retry-contract.js';
import { scheduleContract } from './schedule-contract.js';
import { type Cluster, storeContract } from './store-contract.js';

async function createCluster(leaseMs = 3000): Promise<Cluster> {
  const clock = new ManualClock();
  const server = new MemoryServer(clock, leaseMs);
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
    async timePasses(ms) {
      clock.stall(ms);
    },
    async addPast(entity, data) {
      const json = JSON.stringify(data);
      const job = {
        id: 'past',
        name: 'withdraw',
        data: json,
        options: {},
        envelope: {},
        enqueuedAtMs: 0,
        attempt: 0,
        attemptsMade: 0,
        stalled: 0,
        stacks: [],
        mustFail: undefined,
      };
      server.entity(entity).wait.push(job);
    },
    async endHold(entity) {
      server.entity(entity).hold = undefined;
    },
    async removeJob(ref, jobId) {
      const entity = server.entity(ref);
      entity.wait = entity.wait.filter(({ id }) => id !== jobId);
      entity.active = entity.active.filter(({ id }) => id !== jobId);
    },
    keysOf: async entity => (server.find(entity) ? [entityWord(entity)] : []),
    failedIds: async entity => server.entity(entity).failed.map(({ id }) => id),
    dueScore: async entity => server.due.get(entityWord(entity)),
    async dueInMs(entity) {
      const score = server.due.get(entityWord(entity));
      return score === undefined ? undefined : score - server.now();
    },
    async fallSilent() {
      server.alive.clear();
    },
    async close() {
      for (const store of stores) await store.close();
    },
  };
}

storeContract('memory', () => createCluster());
restContract('memory', ({ leaseMs }) => createCluster(leaseMs));
lifecycleContract('memory', () => createCluster());
retryContract('memory', () => createCluster());
controlContract('memory', () => createCluster());
intakeContract('memory', () => createCluster());
deadLetterContract('memory', () => createCluster());
scheduleContract('memory', () => createCluster());
retentionContract('memory', () => createCluster());
envelopeContract('memory', () => createCluster());
payloadContract('memory', () => createCluster());
answerContract('memory', () => createCluster());
batchContract('memory', () => createCluster());
flowContract('memory', () => createCluster());
