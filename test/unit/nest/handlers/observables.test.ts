/** Observables that handlers return: a job waits for the last value, like a request in Nest. */
import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { CommandHandler, CqrsModule, QueryHandler } from '@nestjs/cqrs';
import { EMPTY, from, NEVER, Observable, of, Subject, throwError, toArray } from 'rxjs';
import { ClosedError } from '../../../../src/core/model/errors.js';
import type { JobContext, Settlement } from '../../../../src/core/model/job.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { currentJob } from '../../../../src/nest/current-job.js';
import { BatchHandler, JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { lastValue } from '../../../../src/nest/handlers/observable.js';
import type { StoreFactory } from '../../../../src/nest/runtime.js';
import { application, memoryStore } from '../../../support/nest-application.js';
import { eventually } from '../../../support/wait.js';

/** Its values come later than its subscription. */
const later = <T>(...values: T[]) =>
  new Observable<T>(subscriber =>
    from(values).subscribe({
      next: value => void Promise.resolve().then(() => subscriber.next(value)),
      complete: () =>
        void Promise.resolve()
          .then(() => Promise.resolve())
          .then(() => subscriber.complete()),
    }),
  );

const streams: Record<string, () => unknown> = {
  last: () => later(1, 2, 3),
  'a promise of one': async () => later('a', 'b'),
  empty: () => EMPTY,
  failing: () => throwError(() => new Error('the stream failed')),
  'in the job': () =>
    new Observable(subscriber => {
      subscriber.next(currentJob()?.entityId);
      subscriber.complete();
    }),
};

@Injectable()
class All implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(toArray());
  }
}

@WorkerProcessor({ entityType: 'plain' })
class Plain {
  @JobHandler('*')
  run(job: { name: string }) {
    return streams[job.name]?.();
  }
  @BatchHandler('batch', { max: 2 })
  batch(jobs: readonly unknown[]) {
    return later(
      [],
      jobs.map((_, at) => at),
    );
  }
}

@WorkerProcessor({ entityType: 'enhanced', enhancers: true })
class Enhanced extends Plain {
  @JobHandler('all')
  @UseInterceptors(All)
  all() {
    return later(1, 2, 3);
  }
}

@QueueEntity('command')
class Command {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly stream: string,
  ) {}
}
@CommandHandler(Command)
class Commands {
  execute({ stream }: Command): Promise<unknown> {
    return streams[stream]?.() as never;
  }
}
@QueueEntity('query')
class Query {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly stream: string,
  ) {}
}
@QueryHandler(Query)
class Queries {
  execute({ stream }: Query): Promise<unknown> {
    return streams[stream]?.() as never;
  }
}

async function outcomes(jobs: (bus: QueueBus) => Promise<unknown>, count: number) {
  const seen: Settlement['outcome'][] = [];
  const recording: StoreFactory = (options, config) => {
    const store = memoryStore(options, config);
    const finish = store.finish.bind(store);
    store.finish = (claim, settlements, take) => {
      seen.push(...settlements.map(({ outcome }) => outcome));
      return finish(claim, settlements, take);
    };
    return store;
  };
  const app = await application([Plain, Enhanced, Commands, Queries], { imports: [CqrsModule] }, recording);
  await app.init();
  await jobs(app.get(QueueBus));
  await eventually('all have ended', () => seen.length === count);
  await app.close();
  return seen;
}

const ends: [string, object][] = [
  ['last', { kind: 'completed', value: '3' }],
  ['a promise of one', { kind: 'completed', value: '"b"' }],
  ['empty', { kind: 'completed', value: 'null' }],
  ['failing', { kind: 'failed', reason: 'the stream failed' }],
  ['in the job', { kind: 'completed', value: '"1"' }],
];

describe.each(['plain', 'enhanced'])('a %s handler of jobs', entityType => {
  test.each(ends)('gives the job the last value of the Observable "%s"', async (name, end) => {
    const job = { entityType, entityId: '1', name };
    expect(await outcomes(bus => bus.enqueueJob(job), 1)).toMatchObject([end]);
  });
});

describe.each([
  ['command', Command],
  ['query', Query],
] as const)('a handler of a %s', (_, Message) => {
  test.each(ends)('gives the job the last value of the Observable "%s"', async (stream, end) => {
    expect(await outcomes(bus => bus.enqueue(new Message('1', stream)), 1)).toMatchObject([end]);
  });
});

test('the last value of a batch handler has a result for each job', async () => {
  const job = { entityType: 'plain', entityId: '1', name: 'batch' };
  const seen = await outcomes(bus => Promise.all([bus.enqueueJob(job), bus.enqueueJob(job)]), 2);
  // Timing decides whether the two are one batch.
  expect(seen.map(end => 'value' in end && end.value)).toContain('0');
});

test('an interceptor sees each value', async () => {
  const job = { entityType: 'enhanced', entityId: '1', name: 'all' };
  expect(await outcomes(bus => bus.enqueueJob(job), 1)).toMatchObject([{ kind: 'completed', value: '[1,2,3]' }]);
});

test('the next job has a newer token than an Observable that timed out, because its promise still runs', async () => {
  const tokens: bigint[] = [];
  @WorkerProcessor({ entityType: 'limited', workerConfig: { handlerTimeoutMs: 50 } })
  class Limited {
    @JobHandler('*')
    run({ name }: { name: string }, _: string, { fencingToken }: JobContext) {
      tokens.push(BigInt(fencingToken));
      return name === 'next' ? undefined : from(new Promise<void>(() => {}));
    }
  }
  const app = await application([Limited]);
  await app.init();
  const job = { entityType: 'limited', entityId: '1' };
  const [hung] = await Promise.all([
    app
      .get(QueueBus)
      .enqueueJobAndWait({ ...job, name: 'hangs' }, { timeoutMs: 10_000 })
      .catch(error => error),
    app.get(QueueBus).enqueueJobAndWait({ ...job, name: 'next' }, { timeoutMs: 10_000 }),
  ]);
  await app.close();
  expect(hung).toMatchObject({ originalCode: 'HANDLER_TIMEOUT' });
  const [old = 0n, next = 0n] = tokens;
  expect(next).toBeGreaterThan(old);
});

describe('the signal of the run', () => {
  test('unsubscribes the Observable when it aborts, and its reason is thrown', async () => {
    let isSubscribed = false;
    const stream = new Observable(() => {
      isSubscribed = true;
      return () => {
        isSubscribed = false;
      };
    });
    const run = new AbortController();
    const ended = lastValue(stream, run);
    await eventually('it is subscribed', () => isSubscribed);
    run.abort(new Error('lost'));
    await expect(ended).rejects.toThrow('lost');
    expect(isSubscribed).toBe(false);
  });

  test('leaves the Observable alone when the pod shuts down, because its job has not failed', async () => {
    const stream = new Subject<number>();
    const run = new AbortController();
    const ended = lastValue(stream, run);
    await eventually('it is subscribed', () => stream.observed);
    run.abort(new ClosedError());
    stream.next(1);
    stream.complete();
    expect(await ended).toBe(1);
  });

  test('lets no Observable start that goes on if it has aborted before', async () => {
    await expect(lastValue(NEVER, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });
});

test.each([
  ['a value that has subscribe() only', { subscribe() {} }],
  [
    'a value that throws when it is read',
    Object.defineProperty({}, 'lift', {
      get: () => {
        throw new Error('no');
      },
    }),
  ],
  ['nothing', undefined],
])('%s is not an Observable', async (_, value) => {
  expect(await lastValue(value, new AbortController())).toBe(value);
  expect(await lastValue(of(value), new AbortController())).toBe(value);
});
