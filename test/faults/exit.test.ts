/** After `app.close()` a process ends by itself, with code 0: nothing of this library keeps it alive, not even a handler that hangs. */
import { FAULT_MS, FaultScenario, type FaultScenarioOptions, lasts } from '../support/fault-scenario.js';
import { Sentinels } from '../support/sentinels.js';
import { eventually } from '../support/wait.js';

const NO_THREAD = { BLOCK_LIMIT_MS: '0' };

/** One pod that has started a job, and hangs in another one if the test asks for it. */
function onePod(
  body: (scenario: FaultScenario, pod: string) => Promise<void>,
  { hangs = true, settings, ...options }: Partial<FaultScenarioOptions> & { readonly hangs?: boolean } = {},
): Promise<void> {
  const shutdown = { SHUTDOWN_TIMEOUT_MS: '200', ...settings };
  return FaultScenario.run({ pods: 1, entities: 1, settings: shutdown, ...options }, async scenario => {
    await scenario.enqueue('e0');
    if (hangs) await scenario.enqueue('e0', { hangs });
    await eventually('the last job has started', () => scenario.runs().length === (hangs ? 2 : 1));
    await body(scenario, scenario.pods.workingPods[0] ?? '');
  });
}

test.each([
  ['whose handlers have ended', { hangs: false }],
  ['in which a handler never settles', {}],
  ['in which a handler never settles, without a thread for renewals', { settings: NO_THREAD }],
])(
  'a process %s ends after close()',
  (_, options) =>
    onePod(async ({ pods }, pod) => {
      expect(await pods.leave(pod)).toBe(0);
    }, options),
  FAULT_MS,
);

test.each([
  ['whose handlers have ended', { hangs: false }],
  ['in which a handler never settles', {}],
  ['in which a handler never settles, without a thread for renewals', { settings: NO_THREAD }],
])(
  'a process %s ends after close() while Redis is away',
  (_, options) =>
    onePod(async ({ pods, redis }, pod) => {
      await redis.stop();
      expect(await pods.leave(pod)).toBe(0);
    }, options),
  FAULT_MS,
);

/** Undefined if no sentinel can be started here. */
async function onePodBehindSentinels(
  body: (scenario: FaultScenario, pod: string, sentinels: Sentinels) => Promise<void>,
): Promise<void> {
  const sentinels = await Sentinels.start();
  if (!sentinels) return;
  try {
    const redis = await sentinels.primary();
    await onePod((scenario, pod) => body(scenario, pod, sentinels), { redis, connection: sentinels.connection });
  } finally {
    await sentinels.stop();
  }
}

test(
  'a process in which a handler never settles ends after close() behind sentinels',
  () =>
    onePodBehindSentinels(async ({ pods }, pod) => {
      expect(await pods.leave(pod)).toBe(0);
    }),
  FAULT_MS,
);

test(
  'a process in which a handler never settles ends after close() while Redis and all sentinels are away',
  () =>
    onePodBehindSentinels(async ({ pods }, pod, sentinels) => {
      await sentinels.stop();
      // It has given up on the connection, and asks the sentinels in vain.
      await lasts(2000);
      expect(await pods.leave(pod)).toBe(0);
    }),
  FAULT_MS,
);
