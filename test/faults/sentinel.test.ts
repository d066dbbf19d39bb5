/** Behind three sentinels: the primary is frozen, replaced and woken, or killed. */
import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS } from '../support/fault-scenario.js';
import { Sentinels } from '../support/sentinels.js';
import { isFull } from '../support/test-length.js';

interface Behind {
  readonly scenario: FaultScenario;
  readonly sentinels: Sentinels;
}

async function behindSentinels(body: (behind: Behind) => Promise<void>): Promise<void> {
  const sentinels = await Sentinels.start();
  if (!sentinels) return;
  try {
    const redis = await sentinels.primary();
    await FaultScenario.run({ pods: PODS, redis, connection: sentinels.connection }, scenario =>
      body({ scenario, sentinels }),
    );
  } finally {
    await sentinels.stop();
  }
}

/** A failover forgets writes that no replica had received: such jobs may be missing, and run again. */
function expectExclusive(scenario: FaultScenario, fault: string, figures: Readonly<Record<string, unknown>>): void {
  const verdict = scenario.verdict();
  const summary = scenario.report(fault, { ...scenario.countsOf(verdict), ...figures });
  const { overlaps, disorder, fallingTokens } = verdict;
  expect({ summary, overlaps, disorder, fallingTokens }).toEqual({
    summary,
    overlaps: [],
    disorder: [],
    fallingTokens: [],
  });
}

test(
  'the primary is frozen by SIGSTOP, a replica is promoted, and the old primary wakes: nothing runs on it any more',
  () =>
    behindSentinels(async ({ scenario, sentinels }) => {
      scenario.produce();
      await scenario.underWay();
      const old = await sentinels.primary();
      await scenario.during(async () => {
        await old.signal('SIGSTOP');
        await sentinels.hasReplaced(old);
        // Pods work on the new primary before the old one is back, which still believes that it is the primary.
        await scenario.hasWorkedSince(now());
        await old.signal('SIGCONT');
        await lasts(isFull ? 10_000 : 1000);
      });
      const woken = now();
      await scenario.hasWorkedSince(woken);
      await scenario.stopProducing();
      const silence = scenario.silenceAfter(woken);
      expectExclusive(scenario, 'sentinels: primary frozen and woken', { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

inFull(
  'the primary is killed: pods find the promoted replica',
  () =>
    behindSentinels(async ({ scenario, sentinels }) => {
      scenario.produce();
      await scenario.underWay();
      const old = await sentinels.primary();
      await scenario.during(async () => {
        await old.signal('SIGKILL');
        await sentinels.hasReplaced(old);
      });
      const replaced = now();
      await scenario.hasWorkedSince(replaced);
      await scenario.stopProducing();
      const silence = scenario.silenceAfter(replaced);
      expectExclusive(scenario, 'sentinels: primary killed', { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);
