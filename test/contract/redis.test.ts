import { RedisCluster } from '../support/redis-cluster.js';
import { controlContract } from './control-contract.js';
import { deadLetterContract } from './dead-letter-contract.js';
import { intakeContract } from './intake-contract.js';
import { lifecycleContract } from './lifecycle-contract.js';
import { restContract } from './rest-contract.js';
import { retryContract } from './retry-contract.js';
import { scheduleContract } from './schedule-contract.js';
import { storeContract } from './store-contract.js';

storeContract('redis', async () => new RedisCluster());
restContract('redis', async () => new RedisCluster());
lifecycleContract('redis', async () => new RedisCluster());
retryContract('redis', async () => new RedisCluster());
controlContract('redis', async () => new RedisCluster());
intakeContract('redis', async () => new RedisCluster());
deadLetterContract('redis', async () => new RedisCluster());
scheduleContract('redis', async () => new RedisCluster());
