/**
 * A process of a run: `node pod.js CONTENDER WORKLOAD REDIS_URL POD`. It runs jobs; pod 0 also enqueues them. It sends its parent
 * `ready`, then how many jobs have run here, and its whole record when the parent asks with `collect`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { contender } from './contenders/all.js';
import type { Contender } from './contenders/contender.js';
import { newRecord, nowMs, type PodRecord } from './records.js';
import type { Workload } from './workloads.js';

export interface PodReport {
  readonly record: PodRecord;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  /** By how much the process has grown since its first job, after garbage collection. */
  readonly grownRssMb: number;
}
export type FromPod = { readonly ready: true } | { readonly ran: number } | PodReport;
export type ToPod = 'send' | 'collect';

/** The pause before the run: the threads and connections that a contender opens at its start are not measured. */
const SETTLE_MS = 1000;
const PROGRESS_MS = 10;

const [name = '', workloadJson = '', redisUrl = '', podText = ''] = process.argv.slice(2);
const workload = JSON.parse(workloadJson) as Workload;
const { entities, jobs, load, handlerMs = 0, pods = 1, payloadBytes = 0 } = workload;
const names = Array.from({ length: entities }, (_, index) => `e${index}`);
const padding = payloadBytes > 0 ? 'x'.repeat(payloadBytes) : undefined;
const record = newRecord(jobs);
let ran = 0;

async function send(to: Contender): Promise<void> {
  const enqueue = async (k: number) => {
    const entity = names[k % entities] ?? '';
    record.called[k] = nowMs();
    await to.enqueue(entity, { k, entity, padding });
    record.accepted[k] = nowMs();
  };
  if ('wave' in load) {
    for (let sent = 0; sent < jobs; ) {
      const wave: Promise<void>[] = [];
      while (wave.length < load.wave && sent < jobs) wave.push(enqueue(sent++));
      await Promise.all(wave);
    }
    return;
  }
  const sending: Promise<void>[] = [];
  for (const beganMs = nowMs(); sending.length < jobs; ) {
    const due = Math.floor(((nowMs() - beganMs) / 1000) * load.perSecond);
    while (sending.length < Math.min(due, jobs)) sending.push(enqueue(sending.length));
    await sleep(1);
  }
  await Promise.all(sending);
}

const tell = (message: FromPod) => process.send?.(message);
const kind = contender(name).create();
await kind.start({
  redisUrl,
  entities: names,
  pod: Number(podText),
  pods,
  async handle(entity, { k }) {
    if (entity !== names[k % entities]) throw new Error(`Job ${k} was given to ${entity}`);
    record.started[k] = nowMs();
    record.times[k] = (record.times[k] ?? 0) + 1;
    await (handlerMs > 0 ? sleep(handlerMs) : null);
    record.ended[k] = nowMs();
    ran++;
  },
});
await sleep(SETTLE_MS);
globalThis.gc?.();
const rssBefore = process.memoryUsage.rss();
const cpu = process.cpuUsage();
let told = 0;
setInterval(() => {
  if (ran === told) return;
  told = ran;
  tell({ ran: told });
}, PROGRESS_MS);
process.on('disconnect', () => process.exit());
process.on('message', (message: ToPod) => {
  if (message === 'send') {
    send(kind).catch(error => {
      process.stderr.write(`${name} refused a job: ${error}\n`);
      process.exit(1);
    });
    return;
  }
  const { user, system } = process.cpuUsage(cpu);
  globalThis.gc?.();
  tell({
    record,
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: process.resourceUsage().maxRSS / 1024,
    grownRssMb: (process.memoryUsage.rss() - rssBefore) / 2 ** 20,
  });
});
tell({ ready: true });
