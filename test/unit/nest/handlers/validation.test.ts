/** Validation at enqueue and before the run, in a Nest application: by a schema or by class-validator. */
import { Injectable, type Type } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import type { Job } from 'bullmq';
import { IsInt, IsString, Min, registerDecorator, ValidateNested } from 'class-validator';
import { z } from 'zod';
import type { StandardSchema } from '../../../../src/core/handlers/validation.js';
import { ValidationError } from '../../../../src/core/model/payload-errors.js';
import { encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobCommand } from '../../../../src/nest/decorators/job-command.decorator.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { Validators } from '../../../../src/nest/handlers/validators.js';
import { EntityQueues } from '../../../../src/nest/operator/entity-queues.js';
import type { AtomicQueuesModuleOptions } from '../../../../src/nest/options/module-options.js';
import { systemClock } from '../../../../src/nest/system.js';
import { MemoryEntityStore } from '../../../../src/store/memory/memory-store.js';
import { MemoryServer } from '../../../../src/store/memory/server.js';
import { application } from '../../../support/nest-application.js';
import { eventually } from '../../../support/wait.js';

const seen: unknown[] = [];

const TRANSFER = z.object({
  accountId: z.string().trim().min(1),
  amount: z.number().int().positive(),
  to: z.object({ iban: z.string() }).default({ iban: 'none' }),
});

@QueueEntity('account', { schema: TRANSFER })
class Transfer {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
    readonly to?: { iban: string },
  ) {}
}

class Detail {
  @IsString() readonly text: unknown;
  constructor(text: unknown) {
    this.text = text;
  }
}

/** Constraints that are asynchronous: they run before the handler. */
const slow: string[] = [];
const IsKnownSlowly = () => (target: object, propertyName: string) =>
  registerDecorator({
    target: target.constructor,
    propertyName,
    async: true,
    validator: {
      async validate(value: unknown) {
        slow.push(String(value));
        return value !== 'unknown';
      },
      defaultMessage: () => 'is not known',
    },
  } as never);

@QueueEntity('account')
class Deposit {
  @QueueEntityId() @IsString() readonly accountId: string;
  @IsInt() @Min(1) readonly amount: number;
  @ValidateNested() readonly detail: Detail;
  @IsKnownSlowly() readonly source: string;
  constructor(accountId: string, amount: number, { text = 'x' as unknown, source = 'cash' } = {}) {
    this.accountId = accountId;
    this.amount = amount;
    this.detail = new Detail(text);
    this.source = source;
  }
}

@CommandHandler(Transfer)
class TransferHandler {
  async execute(command: Transfer) {
    seen.push(command);
  }
}
@CommandHandler(Deposit)
class DepositHandler {
  async execute(command: Deposit) {
    seen.push(command);
  }
}

const ASYNC = z.object({ n: z.number().refine(async n => n > 0, 'must be above 0') });
const later = z.object({ at: z.coerce.date() });

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('audit', { schema: later })
  audit(job: Job) {
    seen.push(job.data);
  }
  @JobHandler('slow', { schema: ASYNC })
  slow(job: Job) {
    seen.push(job.data);
  }
  @JobHandler('calls')
  async calls() {
    throw new ValidationError('What it enqueued', [{ path: ['a'], message: 'bad' }], 'enqueue');
  }
}

const HANDLERS = [TransferHandler, DepositHandler, Accounts];

describe('validation', () => {
  const apps: TestingModule[] = [];
  let server: MemoryServer;
  beforeEach(() => {
    server = new MemoryServer(systemClock, 3000);
    seen.length = 0;
    slow.length = 0;
  });
  afterEach(async () => {
    for (const app of apps.splice(0)) await app.close();
  });

  const start = async (providers: readonly Type[] = HANDLERS, options: Partial<AtomicQueuesModuleOptions> = {}) => {
    const pod = `pod-${apps.length}`;
    const app = await application(
      [...providers],
      { imports: [CqrsModule], ...options },
      (_, config) => new MemoryEntityStore(server, config, pod),
    );
    apps.push(app);
    await app.init();
    return app.get(QueueBus);
  };
  const entity = (id = 'a') => server.entities.get(`account:${id}`);
  const failed = () => entity()?.failed.map(({ outcome }) => outcome?.value) ?? [];
  /** A producer without schemas, such as an older version. */
  const past = async (name: string, data: unknown, options = {}) => {
    const bus = await start([], { producerOnly: true });
    await bus.enqueueJob({ entityType: 'account', entityId: 'a', name, data }, options);
  };
  const producer = () => start(HANDLERS, { producerOnly: true });

  test('refuses an invalid command with paths and messages, and enqueues nothing, also for a bulk', async () => {
    const bus = await producer();
    const refused = {
      code: 'VALIDATION_FAILED',
      stage: 'enqueue',
      issues: [
        { path: ['amount'], message: expect.any(String) },
        { path: ['to', 'iban'], message: expect.any(String) },
      ],
      message: expect.stringMatching(/^Transfer has invalid data: amount: .*; to\.iban: /),
    };
    const invalid = new Transfer('a', -1, { iban: 5 as never });
    await expect(bus.enqueue(invalid)).rejects.toMatchObject(refused);
    await expect(bus.enqueueBulk([new Transfer('a', 1), invalid])).rejects.toMatchObject(refused);
    await expect(bus.forEntity('order').enqueue(invalid)).rejects.toMatchObject(refused);
    await expect(bus.schedule(invalid, { id: 's', every: 1000 })).rejects.toMatchObject(refused);
    await expect(
      bus.enqueueJob({ entityType: 'account', entityId: 'a', name: 'Transfer', data: { ...invalid } }),
    ).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(server.entities.size).toBe(0);
  });

  test('enqueues the output of the schema, also to its entity, and the handler gets a command', async () => {
    const bus = await start();
    const receipt = await bus.enqueue(Object.assign(new Transfer(' a ', 5), { more: 'dropped' }));
    expect(receipt.entityId).toBe('a');
    await eventually('it has run', () => seen.length === 1);
    expect(seen[0]).toBeInstanceOf(Transfer);
    expect({ ...(seen[0] as object) }).toEqual({ accountId: 'a', amount: 5, to: { iban: 'none' } });
  });

  test('fails an invalid job at once before the run, with a typed error, and does not run it', async () => {
    await past('Transfer', { accountId: 'a', amount: 0 }, { attempts: 5 });
    await past('Transfer', { accountId: 'a', amount: 1 });
    await start();
    await eventually('the next has run', () => seen.length === 1);
    expect(failed()).toEqual([expect.stringMatching(/^Job "Transfer" has invalid data: amount: /)]);
    expect(seen).toEqual([expect.objectContaining({ amount: 1 })]);
  });

  test('treats an invalid job as its type says for jobs without attempts left', async () => {
    await past('Transfer', { accountId: 'a', amount: 0 }, { attempts: 5 });
    await start(HANDLERS, { entities: { account: { onExhausted: 'deadLetter' } } });
    const queues = apps.at(-1)?.get(EntityQueues);
    await eventually('it is a dead letter', async () => (await queues?.deadLetters('account').list())?.length === 1);
    expect(await queues?.deadLetters('account').list()).toMatchObject([{ attemptsMade: 1, data: { amount: 0 } }]);
  });

  test('retries a handler whose own enqueue is invalid, as after any error', async () => {
    const bus = await start();
    await bus.enqueueJob({ entityType: 'account', entityId: 'a', name: 'calls' }, { attempts: 2 });
    await eventually('it has failed', () => failed().length === 1);
    expect(entity()?.failed[0]?.attemptsMade).toBe(1);
  });

  test('checks named jobs at enqueue if the handler is known, and the handler gets the output of the schema', async () => {
    const bus = await start();
    const audit = (data: unknown) => bus.enqueueJob({ entityType: 'account', entityId: 'a', name: 'audit', data });
    await expect(audit({ at: 'never' })).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
      message: expect.stringMatching(/^Job "audit" has invalid data: at: /),
    });
    await expect(audit(undefined)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await expect(audit(null)).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
      message: expect.stringMatching(/null/),
    });
    await audit({ at: '2026-01-01' });
    await eventually('it has run', () => seen.length === 1);
    expect(seen).toEqual([{ at: new Date('2026-01-01') }]);
  });

  test('uses the schemas of a processor that is not a provider here', async () => {
    const bus = await start([], { producerOnly: true });
    const scoped = bus.forProcessor(Accounts);
    await expect(scoped.enqueueJob({ entityId: 'a', name: 'audit', data: { at: 'never' } })).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    await scoped.enqueueJob({ entityId: 'a', name: 'audit', data: { at: 0 } });
    expect(entity()?.wait).toHaveLength(1);
  });

  test('refuses an asynchronous schema at enqueue, which keeps the order, and awaits it before the run', async () => {
    const bus = await producer();
    const slowly = (n: number) => bus.enqueueJob({ entityType: 'account', entityId: 'a', name: 'slow', data: { n } });
    const refused = expect(slowly(1)).rejects;
    const next = bus.enqueue(new Transfer('a', 1));
    await refused.toMatchObject({ code: 'UNSUPPORTED' });
    await next;
    expect(entity()?.wait.map(({ name }) => name)).toEqual(['Transfer']);
    await past('slow', { n: 0 });
    await past('slow', { n: 1 });
    await start();
    await eventually('all have run', () => seen.length === 2);
    expect(failed()).toEqual([expect.stringMatching(/n: must be above 0/)]);
    expect(seen[1]).toEqual({ n: 1 });
  });

  test.each<[string, () => Promise<never>]>([
    ['answers', () => new Promise(() => {})],
    ['fails', () => Promise.reject(new Error('late'))],
  ])('refuses a schema that %s later with a typed error', async (_, validate) => {
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate } };
    @QueueEntity('account', { schema })
    class Late {
      @QueueEntityId() readonly id = 'a';
    }
    const bus = await producer();
    await expect(bus.enqueue(new Late())).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(server.entities.size).toBe(0);
  });

  test('works with a schema whose paths are objects or symbols, and whose output is not a command', async () => {
    const result = { issues: [{ message: 'bad', path: [{ key: 'a' }, 0, Symbol('s')] }] };
    const own = (answer: object): StandardSchema => ({
      '~standard': { version: 1, vendor: 'own', validate: () => answer as never },
    });
    @QueueEntity('account', { schema: own(result) })
    class Wrong {
      @QueueEntityId() readonly id = 'a';
    }
    @QueueEntity('account', { schema: own({ value: 'text' }) })
    class Text {
      @QueueEntityId() readonly id = 'a';
    }
    const bus = await producer();
    await expect(bus.enqueue(new Wrong())).rejects.toMatchObject({
      message: expect.stringMatching(/a\.0\.Symbol\(s\): bad/),
    });
    await expect(bus.enqueue(new Text())).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
  });

  test('reports a schema that drops the entity id', async () => {
    @QueueEntity('account', { schema: z.object({ amount: z.number() }) })
    class Dropping {
      @QueueEntityId() readonly accountId = 'a';
      readonly amount = 1;
    }
    const bus = await producer();
    await expect(bus.enqueue(new Dropping())).rejects.toMatchObject({
      code: 'INVALID_COMMAND',
      message: expect.stringMatching(/schema of Dropping drops "accountId"/),
    });
  });

  test('with class-validator loaded after the start reports a class that needs it, and no other class', async () => {
    const validators = new Validators();
    expect(() => validators.of(Deposit)).toThrow(
      expect.objectContaining({
        code: 'INVALID_COMMAND',
        message: expect.stringMatching(/^Deposit .*Import it before/),
      }),
    );
    expect(validators.of(Accounts)).toBeUndefined();
    expect(validators.of(Transfer)).toBeDefined();
  });

  test('does not use the schema of a class for its subclass, which would drop the added properties', async () => {
    @QueueEntity('account')
    class Special extends Transfer {
      readonly special = true;
    }
    const bus = await producer();
    await bus.enqueue(new Special('a', -1));
    expect(JSON.parse(entity()?.wait[0]?.data ?? '')).toMatchObject({ amount: -1, special: true });
  });

  test('by class-validator checks at enqueue, down to nested objects', async () => {
    const bus = await producer();
    await expect(bus.enqueue(new Deposit('a', 0, { text: 5 }))).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
      issues: [
        { path: ['amount'], message: 'amount must not be less than 1' },
        { path: ['detail', 'text'], message: 'text must be a string' },
      ],
    });
    const named = { entityType: 'account', entityId: 'a', name: 'Deposit', data: { accountId: 'a', amount: 0 } };
    await expect(bus.enqueueJob(named)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(server.entities.size).toBe(0);
    expect(slow).toEqual([]);
  });

  test('by class-validator checks asynchronous constraints before the run', async () => {
    const bus = await producer();
    await bus.enqueue(new Deposit('a', 1, { source: 'unknown' }));
    await bus.enqueue(new Deposit('a', 2));
    await past('Deposit', { accountId: 'a', amount: '3' });
    await start();
    await eventually('all have ended', () => failed().length === 2);
    expect(seen).toEqual([expect.objectContaining({ amount: 2 })]);
    expect(failed().sort()).toEqual([
      expect.stringMatching(/amount: amount must be an integer number/),
      expect.stringMatching(/source: is not known/),
    ]);
  });

  test('reports only paths under a secret codec', async () => {
    const codec = encryptedCodec({ keyId: 'k', encrypt: text => btoa(text), decrypt: text => atob(text) });
    const schema = z.object({ id: z.string(), pin: z.custom(value => value === 1, 'was 4711') });
    @QueueEntity('account', { schema })
    class Secret {
      constructor(
        @QueueEntityId() readonly id: string,
        readonly pin: number,
      ) {}
    }
    @CommandHandler(Secret)
    class Handler {
      async execute() {}
    }
    const bus = await start([Handler], { codec, producerOnly: true });
    const error: ValidationError = await bus.enqueue(new Secret('a', 4711)).catch(error => error);
    expect(error).toMatchObject({ code: 'VALIDATION_FAILED', issues: [{ path: ['pin'], message: 'is invalid' }] });
    expect(error.message).not.toContain('4711');
    await past('Secret', { id: 'a', pin: 4711 });
    await start([Handler], { codec, requireCodec: false });
    await eventually('it has failed', () => failed().length === 1);
    expect(failed()).toEqual(['Job "Secret" has invalid data: pin: is invalid.']);
  });

  test('shortens many issues, and long ones, in the error', () => {
    const issues = Array.from({ length: 9 }, (_, n) => ({ path: [n], message: 'x'.repeat(1000) }));
    const { message, issues: all } = new ValidationError('Job "x"', issues, 'run');
    expect(message).toMatch(/; and 4 more\.$/);
    expect(message.length).toBeLessThan(1200);
    expect(all).toHaveLength(9);
  });

  test.each([[{}], [{ '~standard': { version: 2, validate() {} } }], ['text'], [null]])(
    'refuses an invalid schema at import: %j',
    schema => {
      const expected = expect.objectContaining({ code: 'INVALID_OPTION' });
      class Some {
        run() {}
      }
      expect(() => QueueEntity('account', { schema: schema as never })(Some)).toThrow(expected);
      expect(() => JobCommand('x', { schema: schema as never })(Some)).toThrow(expected);
      const property = Object.getOwnPropertyDescriptor(Some.prototype, 'run') as PropertyDescriptor;
      expect(() => JobHandler('x', { schema: schema as never })(Some.prototype, 'run', property)).toThrow(expected);
      expect(() => JobHandler('x', { scheme: 1 } as never)(Some.prototype, 'run', property)).toThrow(expected);
    },
  );
});
