/**
 * One contender, one workload, in a process of its own: `node contender.js NAME WORKLOAD REDIS_URL`.
 * Checks its own result (all run, none beside another of its entity, all in order) and tells it to its parent.
 */
import { atomicQueues } from './atomic-queues.contender.js';
import { bullmqWorkerPerEntity } from './bullmq.contender.js';
import { type Contender, WORKLOADS } from './workloads.js';

export const CONTENDERS: Readonly<Record<string, (redisUrl: string) => Contender>> = {
  'atomic-queues': atomicQueues,
  'bullmq, worker per entity': bullmqWorkerPerEntity,
};

export interface Measured {
  readonly jobsPerSecond: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  readonly overlaps: number;
  readonly disorder: number;
}

const START_MS = 1000;

async function measure(contender: Contender, { entities, jobs, wave }: (typeof WORKLOADS)[number]): Promise<Measured> {
  const names = Array.from({ length: entities }, (_, index) => `e${index}`);
  const running = new Set<string>();
  const last = new Map<string, number>();
  let done = 0;
  let overlaps = 0;
  let disorder = 0;
  let finish: () => void = () => {};
  const finished = new Promise<void>(resolve => {
    finish = resolve;
  });
  await contender.start(async (entityId, n) => {
    if (running.has(entityId)) overlaps++;
    running.add(entityId);
    if (n <= (last.get(entityId) ?? -1)) disorder++;
    last.set(entityId, n);
    await null;
    running.delete(entityId);
    if (++done === jobs) finish();
  });
  // Threads and connections that a contender makes at its start are not what is measured: it lives for longer than this.
  await new Promise(resolve => setTimeout(resolve, START_MS));
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  for (let sent = 0; sent < jobs; ) {
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < wave && sent < jobs; i++, sent++) {
      waiting.push(contender.enqueue(names[sent % entities] ?? '', Math.floor(sent / entities)));
    }
    await Promise.all(waiting);
  }
  await finished;
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    jobsPerSecond: jobs / seconds,
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: process.resourceUsage().maxRSS / 1024,
    overlaps,
    disorder,
  };
}

const [name = '', workload = '', redisUrl = ''] = process.argv.slice(2);
const create = CONTENDERS[name];
const chosen = WORKLOADS[Number(workload)];
if (process.send && create && chosen) {
  process.send(await measure(create(redisUrl), chosen));
  // What a contender leaves open (a thousand connections, say) is not measured, and ends with it.
  process.exit();
}
