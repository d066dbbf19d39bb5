/** Misspelt options: the error names the one that was probably meant. */
import type { EngineOptions } from '../../src/core/engine-options.js';
import { checkJobOptions } from '../../src/core/job-data.js';
import { resolveOptions } from '../../src/core/options.js';
import { checkSchedule } from '../../src/core/schedule.js';
import { BatchHandler, QueueEntity } from '../../src/nest/decorators.js';
import { checkModuleOptions } from '../../src/nest/options.js';

const redis = { host: 'localhost' };
const engine = (options: object) => () => void resolveOptions(options as EngineOptions);
const module_ = (options: object) => () => checkModuleOptions({ redis, ...options } as never);

test.each<[string, () => void, string]>([
  ['a letter too few', engine({ entities: { account: { maxPendng: 5 } } }), 'entities.account.maxPending'],
  ['another case', engine({ workerDefaults: { heartbeatTtl: 5 } }), 'workerDefaults.heartbeatTTL'],
  ['another unit', engine({ entities: { account: { idleTimeout: 5 } } }), 'entities.account.idleTimeoutMs'],
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
