/** One run, with a Redis of its own and a process for each pod, and what it cost. */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import type { FromPod, PodReport, ToPod } from './pod.js';
import { judge, type Verdict } from './records.js';
import { redisCost } from './redis-cost.js';
import { slowNetwork } from './slow-network.js';
import type { Workload } from './workloads.js';

export interface Measured extends Verdict {
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  readonly grownRssMb: number;
  readonly redisCpuSeconds: number;
  readonly commandsPerJob: number;
  readonly connections: number;
}

const MAX_RUN_MS = 300_000;

export async function measure(contender: string, workload: Workload): Promise<Measured> {
  const { networkMs, persistence, pods = 1 } = workload;
  const args = persistence ? ['--appendonly', 'yes', '--appendfsync', persistence] : [];
  const server = await startRedis({ alwaysPrivate: true, args: ['--maxclients', '20000', ...args] });
  const network = networkMs ? await slowNetwork(server.port, networkMs) : undefined;
  const redis = new Redis(server.url);
  const started = Array.from({ length: pods }, (_, pod) =>
    fork(
      new URL('./pod.js', import.meta.url),
      [contender, JSON.stringify(workload), network?.url ?? server.url, String(pod)],
      { serialization: 'advanced', execArgv: ['--expose-gc'] },
    ),
  );
  try {
    return await run(started, redis, workload);
  } finally {
    for (const pod of started) pod.kill('SIGKILL');
    redis.disconnect();
    network?.close();
    await server.stop();
  }
}

async function run(pods: readonly ChildProcess[], redis: Redis, workload: Workload): Promise<Measured> {
  const { entities, jobs, lingerMs = 0 } = workload;
  await Promise.all(pods.map(pod => answer(pod, message => 'ready' in message)));
  const before = await redisCost(redis);
  const ran = new Map<ChildProcess, number>();
  const done = pods.map(pod =>
    answer(pod, message => {
      if ('ran' in message) ran.set(pod, message.ran);
      return sum([...ran.values()]) >= jobs;
    }),
  );
  tell(pods[0], 'send');
  await Promise.race(done);
  await sleep(lingerMs);
  const after = await redisCost(redis);
  const reports = await Promise.all(
    pods.map(async pod => {
      const report = answer(pod, message => 'record' in message);
      tell(pod, 'collect');
      return (await report) as PodReport;
    }),
  );
  const records = reports.map(({ record }) => record);
  return {
    ...judge(records, entities),
    cpuSeconds: sum(reports.map(({ cpuSeconds }) => cpuSeconds)),
    peakRssMb: sum(reports.map(({ peakRssMb }) => peakRssMb)),
    grownRssMb: sum(reports.map(({ grownRssMb }) => grownRssMb)),
    redisCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    commandsPerJob: (after.commands - before.commands) / jobs,
    connections: after.connections,
  };
}

function tell(pod: ChildProcess | undefined, message: ToPod): void {
  pod?.send(message);
}

/** Waits for a message of a pod. Rejects if the pod ends, or sends nothing in time. */
function answer(pod: ChildProcess, isIt: (message: FromPod) => boolean): Promise<FromPod> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(new Error(`nothing for ${MAX_RUN_MS / 1000} s`)), MAX_RUN_MS);
    const onMessage = (message: unknown) => {
      if (isIt(message as FromPod)) settle(message as FromPod);
    };
    const onExit = (code: number | null) => settle(new Error(`a process ended with code ${code}`));
    const settle = (outcome: FromPod | Error) => {
      clearTimeout(timer);
      pod.off('message', onMessage).off('exit', onExit);
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    pod.on('message', onMessage).on('exit', onExit);
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
