/** The pod of an entity ends while a job waits for its next attempt: place, count and time of the attempt are kept. */
import { FAULT_MS, FaultScenario, PODS, TTL } from '../support/fault-scenario.js';
import { eventually } from '../support/wait.js';

/** Longer than a lease and a sweep, so that a successor exists before the attempt is due. */
const BACKOFF_MS = (TTL + 3) * 1000;
/** How much later, or earlier, than requested. */
const TOLERANCE_MS = 1000;

test.each([
  ['is killed', 'kill'],
  ['is stopped by a deploy', 'stop'],
] as const)(
  'the attempt of a waiting job is on time and counted once if the pod of its entity %s',
  (what, how) =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      const options = { attempts: 3, backoff: { type: 'fixed', delay: BACKOFF_MS } };
      await scenario.enqueue('e0', { failures: 2 }, options);
      await scenario.enqueue('e0');
      await scenario.enqueue('e0');
      const hold = () => scenario.admin.hget(scenario.key('e0', ':$:worker'), 'hold');
      await eventually('it waits for its second try', async () => (await hold()) !== null);
      const firstPod = scenario.podOf('e0') ?? '';
      await scenario.pods[how](firstPod);
      await eventually('all have run', () => scenario.runs().filter(({ end }) => end).length === 5, FAULT_MS);
      const runs = scenario.runs().toSorted((a, b) => Number(a.start - b.start));
      expect(runs.map(({ n }) => n)).toEqual([0, 0, 0, 1, 2]);
      expect(new Set(runs.slice(1).map(({ pod }) => pod))).not.toContain(firstPod);
      const waitedMs = runs.slice(1, 3).map(({ start }, at) => Number(start - (runs[at]?.end ?? 0n)) / 1e6);
      for (const ms of waitedMs) expect(Math.abs(ms - BACKOFF_MS)).toBeLessThanOrEqual(TOLERANCE_MS);
      scenario.report(`the pod ${what} during a backoff of ${BACKOFF_MS} ms`, {
        'waited ms': waitedMs.map(Math.round),
      });
    }),
  FAULT_MS,
);
