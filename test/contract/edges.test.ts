import { createMemoryStores } from '../support/memory-stores.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { edgeContract } from './edge-contract.js';

edgeContract('memory', () => createMemoryStores());
edgeContract('redis', async () => new RedisCluster());
