/** What runs short: memory and connections of Redis, time; and many entities at once. */
import { startRedis } from '#dev-redis';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { systemClock } from '../../src/nest/system.js';
import { RedisEntityStore } from '../../src/store/redis/redis-store.js';
import { RecordingLog } from '../support/log.js';
import { FAULT_MS, inFull, now, Scene, SILENCE_MS, TTL } from '../support/scene.js';
import { eventually } from '../support/wait.js';

test(
  'a job that runs for longer than the idle timeout and the lease: its claim stays, its successors follow',
  () =>
    Scene.run({ pods: 2, entities: 1, settings: { IDLE_SECONDS: '1' } }, async scene => {
      await scene.enqueue('e0', { ms: Math.max(2, TTL + 1) * 1000 });
      for (let i = 0; i < 5; i++) await scene.enqueue('e0');
      await scene.allDone();
      const { reruns, pods } = scene.expectClean('a job longer than idle timeout and lease');
      expect({ reruns, pods: pods.length }).toEqual({ reruns: 0, pods: 1 });
      await eventually('the idle entity is released', async () => (await scene.owner('e0')) === null);
    }),
  FAULT_MS,
);

inFull(
  'maxmemory is reached: enqueues fail with a typed error, running jobs end, all goes on when there is memory',
  () =>
    Scene.run({ pods: 2, redisArgs: ['--maxmemory-policy', 'noeviction'] }, async scene => {
      await Promise.all(scene.entities.map(entityId => scene.enqueue(entityId, { ms: 1500 })));
      await eventually('all run', () => scene.runs().length === scene.entities.length);
      await scene.during(async () => {
        await scene.admin.config('SET', 'maxmemory', '1mb');
        await expect(refusal(scene)).resolves.toMatchObject({
          code: 'STORE_REFUSED',
          message: expect.stringMatching(/OOM|memory/),
        });
        scene.produce();
        await eventually('running jobs have ended', () => scene.runs().every(run => run.end !== undefined));
        await eventually('enqueues are refused', () => (scene.refused.get('STORE_REFUSED') ?? 0) > 20);
        await scene.admin.config('SET', 'maxmemory', '0');
      });
      const raised = now();
      await scene.hasWorkedSince(raised);
      await scene.stopProducing();
      await scene.allDone();
      const silence = scene.silenceAfter(raised);
      scene.expectClean('maxmemory', { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
      expect([...scene.refused.keys()]).toEqual(['STORE_REFUSED']);
    }),
  FAULT_MS,
);

inFull(
  'maxclients is reached: a new pod says why it has no Redis, the others work on, and it works once it may',
  () =>
    Scene.run({ pods: 2 }, async scene => {
      scene.produce();
      await scene.underWay();
      await scene.admin.config('SET', 'maxclients', '4');
      // It starts without Redis, after the timeout of a command.
      const late = await scene.pods.start({ COMMAND_TIMEOUT_MS: '500' });
      expect(scene.pods.outputOf(late)).toMatch(/Redis \(commands\): .*(max number of clients|EPIPE|ECONNRESET)/);
      await scene.hasWorkedSince(now());
      await scene.admin.config('SET', 'maxclients', '1000');
      const raised = now();
      // The others go, and it takes over.
      await Promise.all(scene.pods.workingPods.filter(pod => pod !== late).map(pod => scene.pods.stop(pod)));
      const handedOver = now();
      await scene.hasWorkedSince(handedOver);
      await scene.stopProducing();
      await scene.allDone();
      const { reruns } = scene.expectClean('maxclients', {
        'silence after hand-over ms': scene.silenceAfter(handedOver),
      });
      expect(reruns).toBe(0);
      expect(scene.runs().some(run => run.pod === late && run.start > raised)).toBe(true);
      expect(scene.silenceAfter(handedOver)).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  '1,000 entities at once on 5 pods: every pod works, in order, each job once',
  () =>
    Scene.run({ pods: 5, entities: 1000 }, async scene => {
      const from = now();
      for (let round = 0; round < 10; round++) await Promise.all(scene.entities.map(id => scene.enqueue(id)));
      await scene.allDone(60_000);
      const { reruns, pods } = scene.expectClean('1,000 entities on 5 pods', {
        'all done after ms': Math.round(Number(now() - from) / 1e6),
      });
      expect({ reruns, pods: pods.length }).toEqual({ reruns: 0, pods: 5 });
    }),
  FAULT_MS,
);

inFull(
  'takeover after SIGKILL: in the median of 5 within heartbeatTTL + 1 s',
  () =>
    Scene.run({ pods: 3, entities: 12 }, async scene => {
      scene.produce(100);
      const takeovers: number[] = [];
      for (let round = 0; round < 5; round++) {
        await scene.hasWorkedSince(now());
        const victim = scene.podOf('e0') ?? '';
        const entities = scene.entities.filter(entityId => scene.podOf(entityId) === victim);
        await scene.pods.kill(victim);
        const killed = now();
        await scene.hasWorkedSince(killed, entities);
        takeovers.push(scene.silenceAfter(killed, entities));
        await scene.pods.start();
      }
      await scene.stopProducing();
      await scene.allDone();
      scene.expectClean('takeover after SIGKILL', { 'ms (longest of all entities of the pod)': takeovers.join(' ') });
      expect(median(takeovers)).toBeLessThanOrEqual(TTL * 1000 + 1000);
    }),
  FAULT_MS,
);

inFull(
  'takeover after SIGTERM: in the median of 5 within 500 ms after the end of the running job',
  () =>
    Scene.run({ pods: 2, entities: 4, settings: { HANDLER_MS_MAX: '100' } }, async scene => {
      scene.produce(200);
      const takeovers: number[] = [];
      for (let round = 0; round < 5; round++) {
        await scene.hasWorkedSince(now());
        const victim = scene.podOf('e0') ?? '';
        const entities = scene.entities.filter(entityId => scene.podOf(entityId) === victim);
        const next = scene.pods.workingPods.length < 2 ? await scene.pods.start() : undefined;
        await scene.pods.stop(victim);
        const stopped = now();
        await scene.hasWorkedSince(stopped, entities);
        const runs = scene.runs();
        for (const entityId of entities) {
          const own = runs.filter(run => run.entityId === entityId);
          const at = own.findLastIndex(run => run.pod === victim);
          const [last, successor] = [own[at], own[at + 1]];
          if (last?.end && successor) takeovers.push(Number(successor.start - last.end) / 1e6);
        }
        if (!next) await scene.pods.start();
      }
      await scene.stopProducing();
      await scene.allDone();
      const { reruns } = scene.expectClean('takeover after SIGTERM', {
        'median ms': Math.round(median(takeovers)),
        'longest ms': Math.round(Math.max(...takeovers)),
        entities: takeovers.length,
      });
      expect(reruns).toBe(0);
      expect(median(takeovers)).toBeLessThanOrEqual(500);
    }),
  FAULT_MS,
);

test('a Redis that evicts jobs: said loudly at start, or refused', async () => {
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
  const store = new RedisEntityStore({
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

/** The error of an enqueue that must be refused; its job does not count. */
async function refusal(scene: Scene): Promise<unknown> {
  const entityId = 'refused';
  try {
    await scene.enqueue(entityId);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    scene.added.delete(entityId);
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((x, y) => x - y)[Math.floor(numbers.length / 2)] ?? 0;
}
