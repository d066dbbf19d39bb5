/** Resources that run short: memory and connections of Redis, and time; and many entities at once. */
import { startRedis } from '#dev-redis';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { systemClock } from '../../src/nest/system.js';
import { createRedisStore } from '../../src/store/redis/redis-store.js';
import { FAULT_MS, FaultScenario, inFull, now, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import { RecordingLog } from '../support/log.js';
import { eventually } from '../support/wait.js';

test(
  'a job that runs for longer than the idle timeout and the lease keeps its claim, and its successors follow',
  () =>
    FaultScenario.run({ pods: 2, entities: 1, settings: { IDLE_SECONDS: '1' } }, async scenario => {
      await scenario.enqueue('e0', { ms: Math.max(2, TTL + 1) * 1000 });
      for (let i = 0; i < 5; i++) await scenario.enqueue('e0');
      await scenario.allDone();
      const { reruns, pods } = scenario.expectClean('a job longer than idle timeout and lease');
      expect({ reruns, pods: pods.length }).toEqual({ reruns: 0, pods: 1 });
      await eventually('the idle entity is released', async () => (await scenario.owner('e0')) === null);
    }),
  FAULT_MS,
);

inFull(
  'when maxmemory is reached, enqueues fail with a typed error, running jobs end, and work goes on when there is memory',
  () =>
    FaultScenario.run({ pods: 2, redisArgs: ['--maxmemory-policy', 'noeviction'] }, async scenario => {
      await Promise.all(scenario.entities.map(entityId => scenario.enqueue(entityId, { ms: 1500 })));
      await eventually('all run', () => scenario.runs().length === scenario.entities.length);
      await scenario.during(async () => {
        await scenario.admin.config('SET', 'maxmemory', '1mb');
        await expect(refusal(scenario)).resolves.toMatchObject({
          code: 'STORE_REFUSED',
          message: expect.stringMatching(/OOM|memory/),
        });
        scenario.produce();
        await eventually('running jobs have ended', () => scenario.runs().every(run => run.end !== undefined));
        await eventually('enqueues are refused', () => (scenario.refused.get('STORE_REFUSED') ?? 0) > 20);
        await scenario.admin.config('SET', 'maxmemory', '0');
      });
      const raised = now();
      await scenario.expectRecovery('maxmemory', raised);
      expect([...scenario.refused.keys()]).toEqual(['STORE_REFUSED']);
    }),
  FAULT_MS,
);

inFull(
  'when maxclients is reached, a new pod says why it has no Redis, and works when there is room, and the others go on',
  () =>
    FaultScenario.run({ pods: 2 }, async scenario => {
      await scenario.putUnderLoad();
      await scenario.admin.config('SET', 'maxclients', '4');
      // It starts without Redis, after the timeout of a command.
      const late = await scenario.pods.start({ COMMAND_TIMEOUT_MS: '500' });
      expect(scenario.pods.outputOf(late)).toMatch(/Redis \(commands\): .*(max number of clients|EPIPE|ECONNRESET)/);
      await scenario.hasWorkedSince(now());
      await scenario.admin.config('SET', 'maxclients', '1000');
      const raised = now();
      // The other clients leave, and the pod takes over.
      await Promise.all(scenario.pods.workingPods.filter(pod => pod !== late).map(pod => scenario.pods.stop(pod)));
      const handedOver = now();
      await scenario.hasWorkedSince(handedOver);
      await scenario.finishLoad();
      const { reruns } = scenario.expectClean('maxclients', {
        'silence after hand-over ms': scenario.silenceAfter(handedOver),
      });
      expect(reruns).toBe(0);
      expect(scenario.runs().some(run => run.pod === late && run.start > raised)).toBe(true);
      expect(scenario.silenceAfter(handedOver)).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  '1,000 entities at once on 5 pods: every pod works, and each job runs once, in order',
  () =>
    FaultScenario.run({ pods: 5, entities: 1000 }, async scenario => {
      const from = now();
      for (let round = 0; round < 10; round++) await Promise.all(scenario.entities.map(id => scenario.enqueue(id)));
      await scenario.allDone(60_000);
      const { reruns, pods } = scenario.expectClean('1,000 entities on 5 pods', {
        'all done after ms': Math.round(Number(now() - from) / 1e6),
      });
      expect({ reruns, pods: pods.length }).toEqual({ reruns: 0, pods: 5 });
    }),
  FAULT_MS,
);

inFull(
  'a takeover after SIGKILL takes at most heartbeatTTL + 1 s, in the median of 5',
  () =>
    FaultScenario.run({ pods: 3, entities: 12 }, async scenario => {
      scenario.produce(100);
      const takeovers: number[] = [];
      for (let round = 0; round < 5; round++) {
        await scenario.hasWorkedSince(now());
        const victim = scenario.podOf('e0') ?? '';
        const entities = scenario.entities.filter(entityId => scenario.podOf(entityId) === victim);
        await scenario.pods.kill(victim);
        const killed = now();
        await scenario.hasWorkedSince(killed, entities);
        takeovers.push(scenario.silenceAfter(killed, entities));
        await scenario.pods.start();
      }
      await scenario.finishLoad();
      scenario.expectClean('takeover after SIGKILL', {
        'ms (longest of all entities of the pod)': takeovers.join(' '),
      });
      expect(median(takeovers)).toBeLessThanOrEqual(TTL * 1000 + 1000);
    }),
  FAULT_MS,
);

inFull(
  'a takeover after SIGTERM takes at most 500 ms after the end of the running job, in the median of 5',
  () =>
    FaultScenario.run({ pods: 2, entities: 4, settings: { HANDLER_MS_MAX: '100' } }, async scenario => {
      scenario.produce(200);
      const takeovers: number[] = [];
      for (let round = 0; round < 5; round++) {
        await scenario.hasWorkedSince(now());
        const victim = scenario.podOf('e0') ?? '';
        const entities = scenario.entities.filter(entityId => scenario.podOf(entityId) === victim);
        const next = scenario.pods.workingPods.length < 2 ? await scenario.pods.start() : undefined;
        await scenario.pods.stop(victim);
        const stopped = now();
        await scenario.hasWorkedSince(stopped, entities);
        const runs = scenario.runs();
        for (const entityId of entities) {
          const own = runs.filter(run => run.entityId === entityId);
          const at = own.findLastIndex(run => run.pod === victim);
          const [last, successor] = [own[at], own[at + 1]];
          if (last?.end && successor) takeovers.push(Number(successor.start - last.end) / 1e6);
        }
        if (!next) await scenario.pods.start();
      }
      await scenario.finishLoad();
      const { reruns } = scenario.expectClean('takeover after SIGTERM', {
        'median ms': Math.round(median(takeovers)),
        'longest ms': Math.round(Math.max(...takeovers)),
        entities: takeovers.length,
      });
      expect(reruns).toBe(0);
      expect(median(takeovers)).toBeLessThanOrEqual(500);
    }),
  FAULT_MS,
);

test('a Redis that evicts jobs causes a warning at start, or is refused', async () => {
  const redis = await startRedis({ alwaysPrivate: true, args: ['--maxmemory-policy', 'allkeys-lru'] });
  try {
    const log = new RecordingLog();
    await expect(eviction(redis.url, 'refuse', log)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/allkeys-lru.*noeviction/),
    });
    expect(log.lines).toEqual([]);
    await eviction(redis.url, 'warn', log);
    expect(log.lines.join()).toMatch(/allkeys-lru: it drops jobs and claims.*noeviction/);
  } finally {
    await redis.stop();
  }
});

async function eviction(url: string, onEvictingRedis: 'warn' | 'refuse', log: RecordingLog): Promise<void> {
  const store = await createRedisStore({
    redis: { url },
    keyPrefix: 'aq',
    commandTimeoutMs: 2000,
    config: resolveOptions({}),
    clock: systemClock,
    log,
    podId: 'pod',
    onEvictingRedis,
  });
  try {
    await store.start();
  } finally {
    await store.close();
  }
}

/** The error of an enqueue that must be refused. Its job does not count. */
async function refusal(scenario: FaultScenario): Promise<unknown> {
  const entityId = 'refused';
  try {
    await scenario.enqueue(entityId);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    scenario.added.delete(entityId);
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((x, y) => x - y)[Math.floor(numbers.length / 2)] ?? 0;
}
