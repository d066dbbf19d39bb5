/** Durations among the options: their aliases in milliseconds, which level takes precedence, and values in a wrong unit. */
import type { EngineOptions, EntityOptions } from '../../../../src/core/options/options.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { application, memoryStore } from '../../../support/nest-application.js';

const ofAccount = (options: EngineOptions) => resolveOptions(options).entityType('account');

test('each duration has an alias in milliseconds that accepts any value', () => {
  const config = resolveOptions({
    workerDefaults: { heartbeatTtlMs: 3_000_000, stalledIntervalMs: 5, lockDurationMs: 30 },
    enableCronManager: true,
    cronIntervalMs: 5,
    entities: { account: { idleTimeoutMs: 15_000_000 } },
  });
  expect(config).toMatchObject({ leaseMs: 3_000_000, sweepMs: 5, scaleEveryMs: 5 });
  expect(config.entityType('account')).toMatchObject({ idleTimeoutMs: 15_000_000, lockDurationMs: 30 });
});

test('a worker stays with Infinity as its idle time, by either name', () => {
  for (const entity of [{ idleTimeoutSeconds: Infinity }, { idleTimeoutMs: Infinity }]) {
    expect(ofAccount({ entities: { account: entity } }).idleTimeoutMs).toBe(Infinity);
  }
});

test('parts of a second become whole milliseconds, one at least', () => {
  expect(resolveOptions({ workerDefaults: { heartbeatTTL: 1.0004 } }).leaseMs).toBe(1000);
  expect(ofAccount({ entities: { account: { idleTimeoutSeconds: 0.0001 } } }).idleTimeoutMs).toBe(1);
});

test.each([
  [{ lockDuration: 60_000 }, { lockDurationMs: 2000 }, 2000],
  [{ lockDurationMs: 2000 }, { lockDuration: 60_000 }, 60_000],
  [{ lockDurationMs: 2000 }, { lockDurationMs: undefined }, 2000],
  [{ lockDuration: 60_000 }, { lockDurationMs: undefined, lockDuration: undefined }, 60_000],
])(
  'workerConfig takes precedence over workerDefaults, under either name: %j and %j',
  (defaults, own, lockDurationMs) => {
    const options = { workerDefaults: defaults, entities: { account: { workerConfig: own as EntityOptions } } };
    expect(ofAccount(options as EngineOptions)).toMatchObject({ lockDurationMs });
  },
);

test.each<[EntityOptions, EntityOptions]>([
  [
    { idleTimeoutSeconds: 9, workerConfig: { lockDuration: 60_000 } },
    { idleTimeoutMs: 5000, workerConfig: { lockDurationMs: 2000 } },
  ],
  [
    { idleTimeoutMs: 9000, workerConfig: { lockDurationMs: 60_000 } },
    { idleTimeoutSeconds: 5, workerConfig: { lockDuration: 2000 } },
  ],
])('the processor takes precedence over the type, under either name: %j and %j', async (ofType, ofProcessor) => {
  @WorkerProcessor({ entityType: 'account', ...ofProcessor })
  class Accounts {}
  let found: unknown;
  const app = await application([Accounts], { entities: { account: ofType } }, (options, config) => {
    found = config.entityType('account');
    return memoryStore(options, config);
  });
  await app.init();
  await app.close();
  expect(found).toMatchObject({ idleTimeoutMs: 5000, lockDurationMs: 2000 });
});

test('a wrong unit of a type is refused also if a processor has options of the type', async () => {
  @WorkerProcessor({ entityType: 'account', maxPending: 5 })
  class Accounts {}
  const app = await application([Accounts], { entities: { account: { idleTimeoutSeconds: 15_000 } } });
  await expect(app.init()).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringMatching(/^entities\.account\.idleTimeoutSeconds/),
  });
});

test('a wrong unit of a processor is refused at import', () => {
  const decorate = () => {
    @WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 15_000 })
    class Accounts {}
    return Accounts;
  };
  expect(decorate).toThrow(/@WorkerProcessor\(Accounts\)\.idleTimeoutSeconds is in seconds/);
});

test.each<[EngineOptions, string]>([
  [
    { workerDefaults: { heartbeatTTL: 3000 } },
    'workerDefaults.heartbeatTTL is in seconds: 3000 is 50 minutes. Write 3, or, if you mean 50 minutes, heartbeatTtlMs: 3000000.',
  ],
  [
    { entities: { account: { idleTimeoutSeconds: 15_000 } } },
    'entities.account.idleTimeoutSeconds is in seconds: 15000 is 4.2 hours. Write 15, or, if you mean 4.2 hours, idleTimeoutMs: 15000000.',
  ],
  [
    { workerDefaults: { stalledInterval: 1 } },
    'workerDefaults.stalledInterval is in milliseconds: 1 is 0.001 seconds. Write 1000, or, if you mean 0.001 seconds, stalledIntervalMs: 1.',
  ],
  [
    { entities: { account: { workerConfig: { lockDuration: 30 } } } },
    'entities.account.workerConfig.lockDuration is in milliseconds: 30 is 0.03 seconds. Write 30000, or, if you mean 0.03 seconds, lockDurationMs: 30.',
  ],
  [{ cronInterval: 5 }, 'AtomicQueuesModule.cronInterval is in milliseconds: 5 is 0.005 seconds. Write 5000, or'],
  [
    { workerDefaults: { heartbeatTTL: 3, heartbeatTtlMs: 3000 } },
    'workerDefaults.heartbeatTTL and workerDefaults.heartbeatTtlMs are the same option. Remove one.',
  ],
  [
    { entities: { account: { idleTimeoutSeconds: 3, idleTimeoutMs: 3000 } } },
    'entities.account.idleTimeoutSeconds and entities.account.idleTimeoutMs are the same option. Remove one.',
  ],
  [
    { cronInterval: 5000, cronIntervalMs: 5000 },
    'AtomicQueuesModule.cronInterval and AtomicQueuesModule.cronIntervalMs are the same option. Remove one.',
  ],
  [{ workerDefaults: { heartbeatTtlMs: 0.5 } }, 'workerDefaults.heartbeatTtlMs must be a whole number of milliseconds'],
  [{ workerDefaults: { lockDurationMs: Infinity } }, 'workerDefaults.lockDurationMs must be a whole number'],
  [{ entities: { account: { idleTimeoutMs: 0 } } }, 'entities.account.idleTimeoutMs must be a number above 0.'],
])('%j is refused, with the remedy', (options, message) => {
  expect(() => resolveOptions(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
  );
});

test.each<EngineOptions>([
  { workerDefaults: { heartbeatTTL: 600, stalledInterval: 100, lockDuration: 1000 } },
  { entities: { account: { idleTimeoutSeconds: 3600 } } },
  { cronInterval: 100 },
])('%j is at a bound, and accepted', options => {
  expect(() => resolveOptions(options)).not.toThrow();
});
