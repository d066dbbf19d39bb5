/** Behind three sentinels: the primary is frozen, replaced and woken, or killed. */
import { FAULT_MS, inFull, isFull, lasts, now, PODS, Scene, SILENCE_MS } from '../support/scene.js';
import { Sentinels } from '../support/sentinels.js';

interface Behind {
  readonly scene: Scene;
  readonly sentinels: Sentinels;
}

async function behindSentinels(body: (behind: Behind) => Promise<void>): Promise<void> {
  const sentinels = await Sentinels.start();
  if (!sentinels) return;
  try {
    const redis = await sentinels.primary();
    await Scene.run({ pods: PODS, redis, connection: sentinels.connection }, scene => body({ scene, sentinels }));
  } finally {
    await sentinels.stop();
  }
}

/** A failover forgets what no replica had got: such jobs may be missing, and run again. */
function expectExclusive(scene: Scene, fault: string, figures: Readonly<Record<string, unknown>>): void {
  const verdict = scene.verdict();
  const summary = scene.report(fault, { ...scene.countsOf(verdict), ...figures });
  const { overlaps, disorder, fallingTokens } = verdict;
  expect({ summary, overlaps, disorder, fallingTokens }).toEqual({
    summary,
    overlaps: [],
    disorder: [],
    fallingTokens: [],
  });
}

test(
  'the primary is frozen by SIGSTOP, a replica promoted, and the old primary woken: nothing runs on it any more',
  () =>
    behindSentinels(async ({ scene, sentinels }) => {
      scene.produce();
      await scene.underWay();
      const old = await sentinels.primary();
      await scene.during(async () => {
        await old.signal('SIGSTOP');
        await sentinels.hasReplaced(old);
        // Pods work on the new primary before the old one is back, and still believes that it is the primary.
        await scene.hasWorkedSince(now());
        await old.signal('SIGCONT');
        await lasts(isFull ? 10_000 : 1000);
      });
      const woken = now();
      await scene.hasWorkedSince(woken);
      await scene.stopProducing();
      const silence = scene.silenceAfter(woken);
      expectExclusive(scene, 'sentinels: primary frozen and woken', { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  'the primary is killed: pods find the one that is promoted',
  () =>
    behindSentinels(async ({ scene, sentinels }) => {
      scene.produce();
      await scene.underWay();
      const old = await sentinels.primary();
      await scene.during(async () => {
        await old.signal('SIGKILL');
        await sentinels.hasReplaced(old);
      });
      const replaced = now();
      await scene.hasWorkedSince(replaced);
      await scene.stopProducing();
      const silence = scene.silenceAfter(replaced);
      expectExclusive(scene, 'sentinels: primary killed', { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);
