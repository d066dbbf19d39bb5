/** The contract of a store, on Redis. `CONTRACT_FIRST=drop` begins with one part of it: the mutation check knows which will miss a guard. */
import { RedisCluster } from '../support/redis-cluster.js';
import { batchContract } from './batch-contract.js';
import { controlContract } from './control-contract.js';
import { deadLetterContract } from './dead-letter-contract.js';
import { dormantContract } from './dormant-contract.js';
import { dropContract } from './drop-contract.js';
import { envelopeContract } from './envelope-contract.js';
import { flowContract } from './flow-contract.js';
import { hostsContract } from './hosts-contract.js';
import { intakeContract } from './intake-contract.js';
import { lifecycleContract } from './lifecycle-contract.js';
import { payloadContract } from './payload-contract.js';
import { replyContract } from './reply-contract.js';
import { retentionContract } from './retention-contract.js';
import { retryContract } from './retry-contract.js';
import { scheduleContract } from './schedule-contract.js';
import { sharedContract } from './shared-contract.js';
import { silenceContract } from './silence-contract.js';
import { sizeContract } from './size-contract.js';
import { storeContract } from './store-contract.js';

const contracts = {
  store: storeContract,
  dormant: dormantContract,
  lifecycle: lifecycleContract,
  retry: retryContract,
  control: controlContract,
  drop: dropContract,
  intake: intakeContract,
  deadLetter: deadLetterContract,
  schedule: scheduleContract,
  retention: retentionContract,
  envelope: envelopeContract,
  payload: payloadContract,
  reply: replyContract,
  batch: batchContract,
  flow: flowContract,
  shared: sharedContract,
  silence: silenceContract,
  size: sizeContract,
  hosts: hostsContract,
};

const first = process.env['CONTRACT_FIRST'];
const inOrder = Object.entries(contracts).sort(([one], [other]) => Number(other === first) - Number(one === first));
for (const [, contract] of inOrder) contract('redis', async () => new RedisCluster());
