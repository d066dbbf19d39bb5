/** Nest's guards, interceptors and exception filters around a handler: when they apply, and what they decide about a job. */
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  ParseIntPipe,
  type Provider,
  Scope,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, REQUEST } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { messageOf } from '../../../../src/core/model/errors.js';
import type { Settlement } from '../../../../src/core/model/job.js';
import type { EnqueueOptions } from '../../../../src/nest/bus/bus-options.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import type { JobContext } from '../../../../src/nest/current-job.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import type { NamedJob } from '../../../../src/nest/entity-types.js';
import type { StoreFactory } from '../../../../src/nest/runtime.js';
import type { MemoryEntityStore } from '../../../../src/store/memory/memory-store.js';
import { application, memoryStore } from '../../../support/nest-application.js';
import { eventually } from '../../../support/wait.js';

type Outcome = Settlement['outcome'];

/** How each attempt of an application's jobs ends. */
async function outcomes(
  { providers, imports = [] }: { providers: Provider[]; imports?: (new () => object)[] },
  jobs: readonly (NamedJob & { options?: EnqueueOptions })[],
  ends = jobs.length,
): Promise<Outcome[]> {
  const seen: Outcome[] = [];
  const recording: StoreFactory = (options, config) => {
    const store: MemoryEntityStore = memoryStore(options, config);
    const finish = store.finish.bind(store);
    store.finish = (claim, settlements, take) => {
      seen.push(...settlements.map(({ outcome }) => outcome));
      return finish(claim, settlements, take);
    };
    return store;
  };
  const app = await application(providers, { imports }, recording);
  await app.init();
  for (const { options, ...job } of jobs) await app.get(QueueBus).enqueueJob(job, options);
  await eventually('all have ended', () => seen.length === ends);
  await app.close();
  return seen;
}

const note = (data: object = {}, options?: EnqueueOptions) => ({
  entityType: 'account',
  entityId: '1',
  name: 'note',
  data,
  options,
});
const completed = (value: unknown) => ({ kind: 'completed', value: JSON.stringify(value) });

/** Refuses jobs whose data asks for it. */
@Injectable()
class Guard implements CanActivate {
  static readonly seen: ExecutionContext[] = [];
  canActivate(context: ExecutionContext): boolean {
    Guard.seen.push(context);
    const [job] = context.getArgs<[{ data: { isForbidden?: boolean } }]>();
    return !job.data.isForbidden;
  }
}

@Injectable()
class Shout implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map(value => `${value}!`));
  }
}

class Mild extends Error {}

/** Turns a mild error into a result, and leaves others alone; asynchronously, as filters may be. */
@Catch()
class Filter implements ExceptionFilter {
  async catch(error: unknown, host: ArgumentsHost) {
    return error instanceof Mild ? `${host.getType()} ${error.message}` : undefined;
  }
}

@WorkerProcessor({ entityType: 'account', enhancers: true })
@UseGuards(Guard)
@Injectable()
class Accounts {
  @JobHandler('note')
  @UseInterceptors(Shout)
  @UseFilters(Filter)
  @SetMetadata('role', 'clerk')
  async note({ data }: { data: { error?: string; isMild?: boolean } }, entityId: string, context: JobContext) {
    if (data.isMild) throw new Mild('mild');
    if (data.error !== undefined) throw new Error(data.error);
    return `${this.constructor.name} ${entityId} ${context.attempt}`;
  }
}

beforeEach(() => {
  Guard.seen.length = 0;
});

describe('enhancers of a class and of a method', () => {
  test("let a guard pass a job with the handler's arguments, and an interceptor change the result", async () => {
    expect(await outcomes({ providers: [Accounts] }, [note()])).toEqual([completed('Accounts 1 1!')]);
    const [context] = Guard.seen;
    expect(context?.getType()).toBe('atomic-queues');
    expect(context?.getClass()).toBe(Accounts);
    expect(Reflect.getMetadata('role', context?.getHandler() as object)).toBe('clerk');
    expect(context?.getArgs()).toEqual([
      expect.objectContaining({ name: 'note' }),
      '1',
      expect.objectContaining({ entityType: 'account', attempt: 1 }),
    ]);
  });

  test('let a guard refuse a job, which fails at once, with the reason, and its handler does not run', async () => {
    const [end] = await outcomes({ providers: [Accounts] }, [note({ isForbidden: true }, { attempts: 5 })]);
    expect(end).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/Accounts\.note refused the job: Forb/),
    });
    expect(end).toMatchObject({ stack: expect.stringMatching(/JobRefusedError/) });
  });

  test('let a filter return the result; a filter that returns nothing, even late, leaves the failure as it is', async () => {
    const jobs = [note({ isMild: true }), note({ error: 'hard' }), note({ error: 'again' }, { attempts: 2 }), note()];
    expect(await outcomes({ providers: [Accounts] }, jobs, 5)).toMatchObject([
      completed('atomic-queues mild'),
      { kind: 'failed', reason: 'hard' },
      { kind: 'retrying', reason: 'again' },
      { kind: 'failed', reason: 'again' },
      completed('Accounts 1 1!'),
    ]);
  });

  class Foreign extends Error {
    static readonly made = Object.defineProperty(Foreign, 'name', { value: 'ForbiddenException' });
  }

  test.each([
    ['this copy', ForbiddenException],
    ['another copy', Foreign],
  ])('let a filter throw the failure; a ForbiddenException of %s of Nest is final', async (_, Refusal) => {
    @Catch()
    class Translate implements ExceptionFilter {
      catch(error: unknown): never {
        throw new Refusal(`translated ${messageOf(error)}`);
      }
    }
    @WorkerProcessor({ entityType: 'account', enhancers: true })
    @UseFilters(Translate)
    class Translated {
      @JobHandler('note')
      note() {
        throw new Error('odd');
      }
    }
    expect(await outcomes({ providers: [Translated] }, [note({}, { attempts: 3 })])).toMatchObject([
      { kind: 'failed', reason: expect.stringMatching(/refused the job: translated odd/) },
    ]);
  });
});

describe('global enhancers', () => {
  const log: string[] = [];
  class Injected {}
  const guard = (name: string, scope: Scope) => {
    @Injectable({ scope })
    class Global implements CanActivate {
      constructor(@Inject(Injected) readonly injected: Injected) {}
      canActivate(context: ExecutionContext) {
        log.push(`${name} ${context.getType()} ${this.injected instanceof Injected}`);
        return true;
      }
    }
    return Global;
  };
  beforeEach(() => {
    log.length = 0;
  });

  test('apply in every scope; without enhancers: true none does', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class ForJob implements CanActivate {
      constructor(@Inject(REQUEST) private readonly job: JobContext) {}
      canActivate() {
        log.push(`request ${this.job.entityId}`);
        return true;
      }
    }
    @WorkerProcessor({ entityType: 'order' })
    class Orders {
      @JobHandler('note')
      note() {
        return 'direct';
      }
    }
    const providers = [
      Accounts,
      Orders,
      Injected,
      { provide: APP_GUARD, useClass: guard('singleton', Scope.DEFAULT) },
      { provide: APP_GUARD, useClass: ForJob },
      { provide: APP_GUARD, useClass: guard('transient', Scope.TRANSIENT) },
      { provide: APP_INTERCEPTOR, useClass: Shout },
      { provide: APP_FILTER, useClass: Filter },
    ];
    const order = { ...note({ isForbidden: true }), entityType: 'order' };
    expect((await outcomes({ providers }, [note(), order])).map(end => 'value' in end && end.value)).toEqual(
      expect.arrayContaining(['"Accounts 1 1!!"', '"direct"']),
    );
    expect(log.sort()).toEqual(['request 1', 'singleton atomic-queues true', 'transient atomic-queues true']);
  });
});

test('a request-scoped processor and a request-scoped guard belong to one job', async () => {
  const seen: unknown[] = [];
  @Injectable({ scope: Scope.REQUEST })
  class Unit {}
  @Injectable({ scope: Scope.REQUEST })
  class UnitGuard implements CanActivate {
    constructor(@Inject(Unit) private readonly unit: Unit) {}
    canActivate() {
      seen.push(this.unit);
      return true;
    }
  }
  @WorkerProcessor({ entityType: 'account', enhancers: true })
  @UseGuards(UnitGuard)
  @Injectable()
  class Scoped {
    constructor(@Inject(Unit) private readonly unit: Unit) {}
    @JobHandler('note')
    note() {
      seen.push(this.unit);
      return this.unit instanceof Unit;
    }
  }
  expect(await outcomes({ providers: [Scoped, Unit] }, [note(), note()])).toEqual([completed(true), completed(true)]);
  expect(seen[0]).toBe(seen[1]);
  expect(seen[2]).toBe(seen[3]);
  expect(seen[0]).not.toBe(seen[2]);
});

describe('the start is refused, because it would ignore them without a warning, for', () => {
  const refused = async (providers: Provider[], imports: (new () => object)[] = []) => {
    const app = await application(providers, { imports });
    return app.init().catch(error => error);
  };

  /** A processor with a decorator on its class or its handler. */
  const processor = (decorate: MethodDecorator & ClassDecorator, options: { enhancers?: boolean }, onClass = false) => {
    @Injectable()
    class Decorated {
      @JobHandler('note')
      note() {
        return 'direct';
      }
    }
    if (onClass) decorate(Decorated);
    else decorate(Decorated.prototype, 'note', Object.getOwnPropertyDescriptor(Decorated.prototype, 'note') as never);
    WorkerProcessor({ entityType: 'account', ...options })(Decorated);
    return Decorated;
  };

  test.each<[string, MethodDecorator & ClassDecorator, boolean]>([
    ['@UseGuards', UseGuards(Guard), false],
    ['@UseGuards', UseGuards(Guard), true],
    ['@UseInterceptors', UseInterceptors(Shout), false],
    ['@UseFilters', UseFilters(Filter), true],
    ['@UsePipes', UsePipes(ParseIntPipe), false],
  ])('%s without the option enhancers (%#)', async (name, decorate, onClass) => {
    expect(await refused([processor(decorate, {}, onClass)])).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(new RegExp(`Decorated\\.note has ${name}.*enhancers: true`)),
    });
    const app = { providers: [processor(decorate, { enhancers: false }, onClass)] };
    expect(await outcomes(app, [note({ isForbidden: true })])).toEqual([completed('direct')]);
  });

  test('a pipe, a method with a symbol as its name, and a class that is provided under another token', async () => {
    class Listed extends Accounts {}
    WorkerProcessor({ entityType: 'account', enhancers: true })(Listed);
    class Named {
      @JobHandler('note')
      [Symbol.for('note')]() {}
    }
    WorkerProcessor({ entityType: 'account', enhancers: true })(Named);
    @Module({ controllers: [Listed] })
    class Controllers {}
    const unsupported = (message: RegExp) => ({ code: 'UNSUPPORTED', message: expect.stringMatching(message) });
    expect(await refused([processor(UsePipes(ParseIntPipe), { enhancers: true })])).toMatchObject(
      unsupported(/@UsePipes/),
    );
    expect(await refused([Named])).toMatchObject(unsupported(/symbol/));
    expect(await refused([{ provide: 'X', useClass: Listed }])).toMatchObject(unsupported(/providers: \[Listed\]/));
    expect(await refused([{ provide: Listed, useFactory: () => new Listed() }])).toMatchObject(
      unsupported(/providers: \[Listed\]/),
    );
    expect(await refused([], [Controllers])).toMatchObject(unsupported(/providers: \[Listed\]/));
    expect(await outcomes({ providers: [Listed] }, [note()])).toEqual([completed('Listed 1 1!')]);
  });
});
