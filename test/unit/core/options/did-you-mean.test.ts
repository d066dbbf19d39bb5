/** Misspelt options: the error names the option that was probably meant. */

import { checkSchedule } from '../../../../src/core/enqueue/schedule-checks.js';
import { checkJobOptions } from '../../../../src/core/options/job-options.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { BatchHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { checkModuleOptions } from '../../../../src/nest/options/module-options.js';

const redis = { host: 'localhost' };
const engine = (options: object) => () => void resolveOptions(options as EngineOptions);
const module_ = (options: object) => () => checkModuleOptions({ redis, ...options } as never);

test.each<[string, () => void, string]>([
  ['a missing letter', engine({ entities: { account: { maxPendng: 5 } } }), 'entities.account.maxPending'],
  ['a wrong case', engine({ workerDefaults: { heartbeatTtl: 5 } }), 'workerDefaults.heartbeatTTL'],
  [
    'a missing unit',
    engine({ entities: { account: { idleTimeout: 5 } } }),
    'entities.account.idleTimeoutSeconds (in seconds) or entities.account.idleTimeoutMs (in milliseconds)',
  ],
  [
    'a misspelt option with two units',
    engine({ workerDefaults: { heartbeatTTLs: 5 } }),
    'workerDefaults.heartbeatTTL (in seconds) or workerDefaults.heartbeatTtlMs (in milliseconds)',
  ],
  ['a worker option at the top', module_({ heartbeatTTL: 3 }), 'workerDefaults.heartbeatTTL'],
  ['a worker timeout at the top', module_({ handlerTimeoutMs: 2000 }), 'workerDefaults.handlerTimeoutMs'],
  ['a misspelt worker option at the top', module_({ handlerTimeout: 2000 }), 'workerDefaults.handlerTimeoutMs'],
  ['an entity option at the top', module_({ maxPending: 5 }), 'entities.<type>.maxPending'],
  ['an entity option in workerDefaults', engine({ workerDefaults: { maxPending: 5 } }), 'entities.<type>.maxPending'],
  [
    'a module option in workerDefaults',
    engine({ workerDefaults: { shutdownTimeoutMs: 5 } }),
    'AtomicQueuesModule.shutdownTimeoutMs',
  ],
  [
    'a worker option directly in an entity type',
    engine({ entities: { account: { handlerTimeoutMs: 5 } } }),
    'entities.account.workerConfig.handlerTimeoutMs',
  ],
  [
    'an option of all workers in an entity type',
    engine({ entities: { account: { heartbeatTTL: 5 } } }),
    'workerDefaults.heartbeatTTL',
  ],
  [
    'an entity option in its workerConfig',
    engine({ entities: { account: { workerConfig: { maxPending: 5 } } } }),
    'entities.account.maxPending',
  ],
  ['a Redis option at the top', module_({ host: 'x' }), 'redis.host'],
  ['a module option in redis', module_({ redis: { keyPrefix: 'x' } }), 'AtomicQueuesModule.keyPrefix'],
  ["BullMQ's word for redis", module_({ redis: undefined, connection: { host: 'x' } }), 'AtomicQueuesModule.redis'],
  ["BullMQ's word for keyPrefix", module_({ prefix: 'x' }), 'AtomicQueuesModule.keyPrefix'],
  ['a module option', module_({ commandTimeout: 5 }), 'AtomicQueuesModule.commandTimeoutMs'],
  ['two swapped letters', module_({ redis: { hots: 'x' } }), 'redis.host'],
  [
    'an option of a decorator',
    () => QueueEntity('account', { nmae: 'x' } as never)(class Deposit {}),
    '@QueueEntity of Deposit.name',
  ],
  [
    'an option of a batch',
    () => void BatchHandler('x', { max: 5, maxWait: 5 } as never)({}, 'method', {}),
    '@BatchHandler of Object.method.maxWaitMs',
  ],
  ['an option of a job', () => checkJobOptions({ dealy: 5 }, 'Job "x"'), '"delay"'],
  ['a job option of this library', () => checkJobOptions({ idempotencykey: 'x' }, 'Job "x"'), '"idempotencyKey"'],
  ['an option of a schedule', () => checkSchedule({ id: 'x', evry: 5 } as never, {}, 'Job "x"'), '"every"'],
])('an error names the option that was meant: %s', (_, check, meant) => {
  expect(check).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`Did you mean ${meant}?`) }),
  );
});

test('an unknown name that resembles no option is reported without a guess', () => {
  expect(module_({ zzzzzz: 5 })).toThrow(/^(?!.*Did you mean)/);
});

test('a name of any length is shortened in the error, and a long one is not compared', () => {
  const name = 'maxPending'.repeat(100_000);
  const error = (() => {
    try {
      module_({ [name]: 5 })();
    } catch (thrown) {
      return thrown as Error;
    }
    return undefined;
  })();
  expect(error?.message).toMatch(/^Unknown option AtomicQueuesModule\.maxPending/);
  expect(error?.message.length).toBeLessThan(1000);
});
