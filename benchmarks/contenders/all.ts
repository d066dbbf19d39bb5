/** All contenders, this library first. */
import { atomicQueues } from './atomic-queues.js';
import { bullmqHashed, bullmqPlain, bullmqWorkerPerEntity } from './bullmq.js';
import type { ContenderKind } from './contender.js';
import { groupmq } from './groupmq.js';
import { inProcess } from './in-process.js';
import { mutexPerEntity } from './mutex.js';

export const CONTENDERS: readonly ContenderKind[] = [
  atomicQueues,
  bullmqWorkerPerEntity,
  bullmqHashed,
  ...groupmq,
  bullmqPlain,
  mutexPerEntity,
  inProcess,
];

export function contender(name: string): ContenderKind {
  const found = CONTENDERS.find(kind => kind.name === name);
  if (!found) throw new Error(`No contender "${name}". There are: ${CONTENDERS.map(kind => kind.name).join(' · ')}`);
  return found;
}
