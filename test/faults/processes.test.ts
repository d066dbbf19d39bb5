/** Faults of pods: frozen, blocked, killed at the worst moments, or crashed by a job. */

import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import type { Run } from '../support/processes.js';
import { eventually } from '../support/wait.js';

const LEASE_MS = TTL * 1000;

test(
  'SIGSTOP of a pod for two leases, then SIGCONT: the zombie starts nothing under its old claims, and order is kept',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad();
      const victim = scenario.pods.workingPods[Math.floor(scenario.random.next() * PODS)] ?? '';
      // Every entity is within a job when the pod is stopped: none is between its lease check and its first line.
      await Promise.all(scenario.entities.map(entityId => scenario.enqueue(entityId, { ms: 1000 })));
      await eventually('every entity runs its long job', () => allRunning(scenario.runs(), scenario.entities));
      const stoppedAt = now();
      scenario.pods.freeze(victim);
      const zombie = running(scenario.runs(), victim);
      await scenario.during(async () => {
        await lasts(2 * LEASE_MS);
        // On a slow machine that may take a lease longer, if its only witness is late.
        await eventually(
          'another pod has taken the entity over',
          () => !zombie || isTakenOver(scenario.runs(), zombie),
        );
      });
      const silence = scenario.silenceAfter(stoppedAt);
      const wokenAt = now();
      scenario.pods.thaw(victim);
      if (zombie) {
        await eventually('the late job has ended', () =>
          scenario.runs().some(run => run.pod === victim && run.n === zombie.n && run.end && run.end > wokenAt),
        );
      }
      await scenario.hasWorkedSince(wokenAt);
      await scenario.finishLoad();
      const { fencedZombies } = scenario.expectClean('SIGSTOP for two leases', { 'longest silence ms': silence });
      expect(fencedZombies.length).toBeGreaterThanOrEqual(zombie ? 1 : 0);
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  'a handler that blocks the event loop for two leases, beyond its limit, is taken over, and overlaps only as a fenced zombie',
  () =>
    FaultScenario.run({ pods: PODS, settings: { BLOCK_LIMIT_MS: '0' } }, async scenario => {
      await scenario.putUnderLoad();
      const blockedAt = now();
      await scenario.during(async () => {
        const n = await scenario.enqueue('e0', { blockMs: 2 * LEASE_MS });
        await eventually('the blocking job has ended', () => ended(scenario.runs(), 'e0', n) !== undefined);
      });
      await scenario.hasWorkedSince(now());
      await scenario.finishLoad();
      const silence = scenario.silenceAfter(blockedAt);
      scenario.expectClean('event loop blocked for two leases', { 'longest silence ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

describe.each(['claim', 'fetch', 'effect'])('SIGKILL after %s', dieAt => {
  inFull(
    `three pods die there one after the other: nothing is lost, order is kept, only jobs whose end was under way run again`,
    () =>
      FaultScenario.run({ pods: 1 }, async scenario => {
        await scenario.putUnderLoad();
        const silences: number[] = [];
        for (let round = 0; round < 3; round++) {
          const before = scenario.pods.deaths.size;
          const others = scenario.pods.workingPods;
          await scenario.pods.start();
          await scenario.pods.start({ DIE_AT: dieAt }).catch(() => {});
          await scenario.allKnown();
          // The other pods hand their entities over to these two.
          await Promise.all(others.map(pod => scenario.pods.stop(pod)));
          await eventually('it has killed itself', () => scenario.pods.deaths.size > before, 60_000);
          const diedAt = [...scenario.pods.deaths.values()].at(-1) ?? 0n;
          await scenario.hasWorkedSince(diedAt);
          silences.push(scenario.silenceAfter(diedAt));
        }
        await scenario.finishLoad();
        const verdict = scenario.expectClean(`SIGKILL after ${dieAt}`, { 'silences ms': silences.join(' ') });
        // The one job that had run and whose end was unknown.
        if (dieAt === 'effect') expect(verdict.reruns).toBeGreaterThanOrEqual(3);
        expect(Math.max(...silences)).toBeLessThanOrEqual(SILENCE_MS);
      }),
    FAULT_MS,
  );
});

test(
  'a poison job, which kills its process every time, fails after maxStalledCount, and its entity goes on',
  () =>
    FaultScenario.run({ pods: 4, entities: 3 }, async scenario => {
      await scenario.putUnderLoad();
      const at = now();
      const n = await scenario.enqueue('e0', { poison: true });
      await eventually(
        'it is failed',
        async () => (await scenario.admin.zcard(scenario.key('e0', ':failed'))) === 1,
        60_000,
      );
      await scenario.hasWorkedSince(now());
      await scenario.stopProducing();
      // It never ends by a run.
      scenario.unsure.add(`e0#${n}`);
      await scenario.allDone();
      const starts = scenario.runs().filter(run => run.entityId === 'e0' && run.n === n);
      const [id] = await scenario.admin.zrange(scenario.key('e0', ':failed'), 0, '-1');
      expect(await scenario.admin.hget(scenario.key('e0', `:${id ?? ''}`), 'failedReason')).toMatch(
        /stalled more than allowable/,
      );
      scenario.expectClean('poison job', { starts: starts.length, kills: scenario.pods.deaths.size });
      // maxStalledCount is 1. There is one more start if others were fetched with it, so that no job was suspected.
      expect(starts.length).toBeGreaterThanOrEqual(2);
      expect(starts.length).toBeLessThanOrEqual(3);
      const after = scenario.runs().find(run => run.entityId === 'e0' && run.n === n + 1);
      expect(after && after.start > at).toBe(true);
    }),
  FAULT_MS,
);

test(
  'the wall clock of every pod jumps an hour ahead, and two back: claims stay, and nothing waits',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad();
      const at = now();
      for (let jump = 0; jump < 2; jump++) {
        for (const pod of scenario.pods.workingPods) scenario.pods.jumpClock(pod);
        const jumpedAt = now();
        await scenario.hasWorkedSince(jumpedAt);
        await lasts(LEASE_MS / 2);
        await scenario.hasWorkedSince(now());
      }
      await scenario.finishLoad();
      const silence = scenario.silenceAfter(at);
      const { reruns } = scenario.expectClean('wall clock jumps by an hour, on and back', {
        'longest silence ms': silence,
      });
      expect(reruns).toBe(0);
      expect(silence).toBeLessThanOrEqual(LEASE_MS);
    }),
  FAULT_MS,
);

test(
  'the owner of idle entities dies unnoticed, and a job that is enqueued then runs within a lease and a sweep',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      for (const entityId of scenario.entities) await scenario.enqueue(entityId);
      await scenario.allDone();
      const pods = scenario.pods.workingPods;
      const survivor = pods[0];
      for (const pod of pods) if (pod !== survivor) await scenario.pods.kill(pod);
      const killedAt = now();
      for (const entityId of scenario.entities) await scenario.enqueue(entityId);
      await scenario.hasWorkedSince(killedAt);
      await scenario.allDone();
      const silence = scenario.silenceAfter(killedAt);
      scenario.expectClean('owner of idle entities dead', { 'longest silence ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

function allRunning(runs: readonly Run[], entities: readonly string[]): boolean {
  return entities.every(id => runs.findLast(({ entityId }) => entityId === id)?.end === undefined);
}

/** The last run that started on the pod, if it has not ended. */
const isTakenOver = (runs: readonly Run[], { entityId, token }: Run) =>
  runs.some(run => run.entityId === entityId && run.token > token);

function running(runs: readonly Run[], pod: string): Run | undefined {
  const last = runs.findLast(run => run.pod === pod);
  return last?.end === undefined ? last : undefined;
}

function ended(runs: readonly Run[], entityId: string, n: number): Run | undefined {
  return runs.find(run => run.entityId === entityId && run.n === n && run.end !== undefined);
}
