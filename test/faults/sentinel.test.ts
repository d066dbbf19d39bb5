/** Behind three sentinels: the primary is frozen, replaced and woken, or killed. */
import type { DevRedis } from '../../scripts/dev-redis.mjs';
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

/** A failover forgets what no replica had got: such jobs may be missing, and run again. */
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

/** Under load, the primary fails and is replaced; then every entity goes on soon. */
function replacing(
  fault: string,
  fail: (scenario: FaultScenario, sentinels: Sentinels, primary: DevRedis) => Promise<void>,
) {
  return () =>
    behindSentinels(async ({ scenario, sentinels }) => {
      await scenario.putUnderLoad();
      const primary = await sentinels.primary();
      await scenario.during(() => fail(scenario, sentinels, primary));
      const replaced = now();
      await scenario.hasWorkedSince(replaced);
      await scenario.stopProducing();
      const silence = scenario.silenceAfter(replaced);
      expectExclusive(scenario, fault, { 'silence after it ms': silence });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    });
}

test(
  'the primary is frozen by SIGSTOP, a replica is promoted, and the old primary wakes: nothing runs on it any more',
  replacing('sentinels: primary frozen and woken', async (scenario, sentinels, primary) => {
    await primary.signal('SIGSTOP');
    await sentinels.hasReplaced(primary);
    // Pods work on the new primary before the old one is back, and still believes that it is the primary.
    await scenario.hasWorkedSince(now());
    await primary.signal('SIGCONT');
    await lasts(isFull ? 10_000 : 1000);
  }),
  FAULT_MS,
);

inFull(
  'the primary is killed: pods find the one that is promoted',
  replacing('sentinels: primary killed', async (_scenario, sentinels, primary) => {
    await primary.signal('SIGKILL');
    await sentinels.hasReplaced(primary);
  }),
  FAULT_MS,
);
