/** Faults of pods: frozen, blocked, killed at the worst moments, poisoned. */
import type { Run } from '../support/processes.js';
import { FAULT_MS, inFull, lasts, now, PODS, Scene, SILENCE_MS, TTL } from '../support/scene.js';
import { eventually } from '../support/wait.js';

const LEASE_MS = TTL * 1000;

test(
  'SIGSTOP of a pod for two leases, then SIGCONT: the zombie starts nothing under its old claims, order is kept',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      scene.produce();
      await scene.underWay();
      const victim = scene.pods.workingPods[Math.floor(scene.random.next() * PODS)] ?? '';
      // Every entity is within a job when the pod is stopped: none is between the look at its lease and its first line.
      await Promise.all(scene.entities.map(entityId => scene.enqueue(entityId, { ms: 1000 })));
      await eventually('every entity runs its long job', () => allRunning(scene.runs(), scene.entities));
      const stoppedAt = now();
      scene.pods.freeze(victim);
      const zombie = running(scene.runs(), victim);
      await scene.during(async () => {
        await lasts(2 * LEASE_MS);
        // On a slow machine that may take a lease longer, if its only witness is late.
        await eventually('another pod has taken the entity over', () => !zombie || isTakenOver(scene.runs(), zombie));
      });
      const silence = scene.silenceAfter(stoppedAt);
      const wokenAt = now();
      scene.pods.thaw(victim);
      if (zombie) {
        await eventually('the late job has ended', () =>
          scene.runs().some(run => run.pod === victim && run.n === zombie.n && run.end && run.end > wokenAt),
        );
      }
      await scene.hasWorkedSince(wokenAt);
      await scene.stopProducing();
      await scene.allDone();
      const { fencedZombies } = scene.expectClean('SIGSTOP for two leases', { 'longest silence ms': silence });
      expect(fencedZombies.length).toBeGreaterThanOrEqual(zombie ? 1 : 0);
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  'a handler blocks the event loop for two leases, beyond its limit: taken over, only the fenced zombie beside its successor',
  () =>
    Scene.run({ pods: PODS, settings: { BLOCK_LIMIT_MS: '0' } }, async scene => {
      scene.produce();
      await scene.underWay();
      const blockedAt = now();
      await scene.during(async () => {
        const n = await scene.enqueue('e0', { blockMs: 2 * LEASE_MS });
        await eventually('the blocking job has ended', () => ended(scene.runs(), 'e0', n) !== undefined);
      });
      await scene.hasWorkedSince(now());
      await scene.stopProducing();
      await scene.allDone();
      const silence = scene.silenceAfter(blockedAt);
      scene.expectClean('event loop blocked for two leases', { 'longest silence ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

describe.each(['claim', 'fetch', 'effect'])('SIGKILL after %s', dieAt => {
  inFull(
    `three pods die there one after the other: nothing is lost, order is kept, only jobs whose end was under way run again`,
    () =>
      Scene.run({ pods: 1 }, async scene => {
        scene.produce();
        await scene.underWay();
        const silences: number[] = [];
        for (let round = 0; round < 3; round++) {
          const before = scene.pods.deaths.size;
          const others = scene.pods.workingPods;
          await scene.pods.start();
          await scene.pods.start({ DIE_AT: dieAt }).catch(() => {});
          await scene.allKnown();
          // The others hand their entities over to the two.
          await Promise.all(others.map(pod => scene.pods.stop(pod)));
          await eventually('it has killed itself', () => scene.pods.deaths.size > before, 60_000);
          const diedAt = [...scene.pods.deaths.values()].at(-1) ?? 0n;
          await scene.hasWorkedSince(diedAt);
          silences.push(scene.silenceAfter(diedAt));
        }
        await scene.stopProducing();
        await scene.allDone();
        const verdict = scene.expectClean(`SIGKILL after ${dieAt}`, { 'silences ms': silences.join(' ') });
        // The one job that had run and whose end nobody knew of.
        if (dieAt === 'effect') expect(verdict.reruns).toBeGreaterThanOrEqual(3);
        expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
      }),
    FAULT_MS,
  );
});

test(
  'a poison job, which kills its process every time: it fails after maxStalledCount, and its entity goes on',
  () =>
    Scene.run({ pods: 4, entities: 3 }, async scene => {
      scene.produce();
      await scene.underWay();
      const at = now();
      const n = await scene.enqueue('e0', { poison: true });
      await eventually('it is failed', async () => (await scene.admin.zcard(scene.key('e0', ':failed'))) === 1, 60_000);
      await scene.hasWorkedSince(now());
      await scene.stopProducing();
      // It never ends by a run.
      scene.unsure.add(`e0#${n}`);
      await scene.allDone();
      const starts = scene.runs().filter(run => run.entityId === 'e0' && run.n === n);
      const [id] = await scene.admin.zrange(scene.key('e0', ':failed'), 0, '-1');
      expect(await scene.admin.hget(scene.key('e0', `:${id ?? ''}`), 'failedReason')).toMatch(
        /stalled more than allowable/,
      );
      scene.expectClean('poison job', { starts: starts.length, kills: scene.pods.deaths.size });
      // maxStalledCount is 1; once more where others were fetched with it, so that nobody was blamed.
      expect(starts.length).toBeGreaterThanOrEqual(2);
      expect(starts.length).toBeLessThanOrEqual(3);
      const after = scene.runs().find(run => run.entityId === 'e0' && run.n === n + 1);
      expect(after && after.start > at).toBe(true);
    }),
  FAULT_MS,
);

test(
  'the wall clock of every pod jumps an hour on, and two back: claims stay, nothing waits',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      scene.produce();
      await scene.underWay();
      const at = now();
      for (let jump = 0; jump < 2; jump++) {
        for (const pod of scene.pods.workingPods) scene.pods.jumpClock(pod);
        const jumpedAt = now();
        await scene.hasWorkedSince(jumpedAt);
        await lasts(LEASE_MS / 2);
        await scene.hasWorkedSince(now());
      }
      await scene.stopProducing();
      await scene.allDone();
      const silence = scene.silenceAfter(at);
      const { reruns } = scene.expectClean('wall clock jumps by an hour, on and back', {
        'longest silence ms': silence,
      });
      expect(reruns).toBe(0);
      expect(silence).toBeLessThanOrEqual(LEASE_MS);
    }),
  FAULT_MS,
);

test(
  'the owner of idle entities is dead, and nobody knows: a job that comes then runs within a lease and a sweep',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      for (const entityId of scene.entities) await scene.enqueue(entityId);
      await scene.allDone();
      const pods = scene.pods.workingPods;
      const survivor = pods[0];
      for (const pod of pods) if (pod !== survivor) await scene.pods.kill(pod);
      const killedAt = now();
      for (const entityId of scene.entities) await scene.enqueue(entityId);
      await scene.hasWorkedSince(killedAt);
      await scene.allDone();
      const silence = scene.silenceAfter(killedAt);
      scene.expectClean('owner of idle entities dead', { 'longest silence ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

function allRunning(runs: readonly Run[], entities: readonly string[]): boolean {
  return entities.every(id => runs.findLast(({ entityId }) => entityId === id)?.end === undefined);
}

/** The run that was the last to start on the pod, if it has not ended. */
const isTakenOver = (runs: readonly Run[], { entityId, token }: Run) =>
  runs.some(run => run.entityId === entityId && run.token > token);

function running(runs: readonly Run[], pod: string): Run | undefined {
  const last = runs.findLast(run => run.pod === pod);
  return last?.end === undefined ? last : undefined;
}

function ended(runs: readonly Run[], entityId: string, n: number): Run | undefined {
  return runs.find(run => run.entityId === entityId && run.n === n && run.end !== undefined);
}
