/** Misspelt options: the error names the one that was probably meant. */

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
  ['a letter too few', engine({ entities: { account: { maxPendng: 5 } } }), 'entities.account.maxPending'],
  ['another case', engine({ workerDefaults: { heartbeatTtl: 5 } }), 'workerDefaults.heartbeatTTL'],
  [
    'without its unit',
    engine({ entities: { account: { idleTimeout: 5 } } }),
    'entities.account.idleTimeoutSeconds (in seconds) or entities.account.idleTimeoutMs (in milliseconds)',
  ],
  [
    'misspelt, of two units',
    engine({ workerDefaults: { heartbeatTTLs: 5 } }),
    'workerDefaults.heartbeatTTL (in seconds) or workerDefaults.heartbeatTtlMs (in milliseconds)',
  ],
  ['of the workers, at the top', module_({ heartbeatTTL: 3 }), 'workerDefaults.heartbeatTTL'],
  ['of the workers, at the top', module_({ handlerTimeoutMs: 2000 }), 'workerDefaults.handlerTimeoutMs'],
  ['of the workers, at the top and misspelt', module_({ handlerTimeout: 2000 }), 'workerDefaults.handlerTimeoutMs'],
  ['of an entity type, at the top', module_({ maxPending: 5 }), 'entities.<type>.maxPending'],
  ['of an entity type, among the workers', engine({ workerDefaults: { maxPending: 5 } }), 'entities.<type>.maxPending'],
  [
    'of the module, among the workers',
    engine({ workerDefaults: { shutdownTimeoutMs: 5 } }),
    'AtomicQueuesModule.shutdownTimeoutMs',
  ],
  [
    'of the workers of a type, above them',
    engine({ entities: { account: { handlerTimeoutMs: 5 } } }),
    'entities.account.workerConfig.handlerTimeoutMs',
  ],
  ['of all workers, in a type', engine({ entities: { account: { heartbeatTTL: 5 } } }), 'workerDefaults.heartbeatTTL'],
  [
    'of a type, among its workers',
    engine({ entities: { account: { workerConfig: { maxPending: 5 } } } }),
    'entities.account.maxPending',
  ],
  ['of Redis, at the top', module_({ host: 'x' }), 'redis.host'],
  ['of the module, of Redis', module_({ redis: { keyPrefix: 'x' } }), 'AtomicQueuesModule.keyPrefix'],
  ["BullMQ's word for redis", module_({ redis: undefined, connection: { host: 'x' } }), 'AtomicQueuesModule.redis'],
  ["BullMQ's word for keyPrefix", module_({ prefix: 'x' }), 'AtomicQueuesModule.keyPrefix'],
  ['of the module', module_({ commandTimeout: 5 }), 'AtomicQueuesModule.commandTimeoutMs'],
  ['two letters that changed places', module_({ redis: { hots: 'x' } }), 'redis.host'],
  [
    'of a decorator',
    () => QueueEntity('account', { nmae: 'x' } as never)(class Deposit {}),
    '@QueueEntity of Deposit.name',
  ],
  [
    'of a batch',
    () => void BatchHandler('x', { max: 5, maxWait: 5 } as never)({}, 'method', {}),
    '@BatchHandler of Object.method.maxWaitMs',
  ],
  ['of a job', () => checkJobOptions({ dealy: 5 }, 'Job "x"'), '"delay"'],
  ['of this library, of a job', () => checkJobOptions({ idempotencykey: 'x' }, 'Job "x"'), '"idempotencyKey"'],
  ['of a schedule', () => checkSchedule({ id: 'x', evry: 5 } as never, {}, 'Job "x"'), '"every"'],
])('%s', (_, check, meant) => {
  expect(check).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(`Did you mean ${meant}?`) }),
  );
});

test('a name that is like no other is told without a guess', () => {
  expect(module_({ zzzzzz: 5 })).toThrow(/^(?!.*Did you mean)/);
});

test('a name of any length is told in short, and compared with none', () => {
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
