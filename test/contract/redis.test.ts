import { RedisCluster } from '../support/redis-cluster.js';
import { storeContract } from './store-contract.js';

storeContract('redis', async () => new RedisCluster());
