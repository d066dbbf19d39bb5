/**
 * The API for enqueueing: commands and named jobs go to the queues of their entities.
 * Neighbours: `sender.ts` sends them; `bus-options.ts` has the types of the options.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { EnqueuedFlow, EnqueuedJob, ScheduledJob } from '../../core/enqueue/requests.js';
import { InvalidOptionError } from '../../core/model/errors.js';
import type { Schedule } from '../../core/model/schedule.js';
import { type Class, getMetadata } from '../decorators/metadata.js';
import type { EntityTypeName, JobResult, NamedJob, ResultOf } from '../entity-types.js';
import { Runtime } from '../runtime.js';
import type { BulkOptions, EnqueueOptions, FlowNode, ScopedQueueBus, WaitOptions } from './bus-options.js';
import type { Scope, UnscopedJob } from './job-requests.js';
import { Sender } from './sender.js';

/**
 * Enqueues commands. Inject it in place of the command bus.
 *
 * All methods reject with a subclass of {@link AtomicQueuesError}. Nothing was added after `InvalidCommandError`,
 * `InvalidEntityError`, `ValidationError`, `UnserializableDataError`, `PayloadTooLargeError`, `InvalidOptionError`,
 * `UnsupportedError`, `BacklogFullError`, `StepTooLargeError`, `StoreRefusedError`, `StoreUnavailableError` and `ClosedError`. After
 * `OutcomeUnknownError` the job may have been added. A bulk also rejects with `BulkEnqueueError`, which tells which jobs were not
 * added. `docs/errors.md` has all of them.
 */
@Injectable()
export class QueueBus {
  private readonly sender: Sender;

  constructor(@Inject(Runtime) runtime: Runtime) {
    this.sender = new Sender(runtime);
  }

  /**
   * Adds a command to the queue of its entity. Resolves when the job is in Redis. From then on it runs at least once, after all
   * jobs that were enqueued for the entity before.
   * @param options BullMQ's job options. Those that would break the order are refused.
   */
  enqueue(command: object, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.sender.send({ command }, options);
  }

  /**
   * Adds commands in the order of the array. All are checked before any is sent.
   *
   * @example
   * ```ts
   * await bus.enqueueBulk(deposits, deposit => ({ idempotencyKey: deposit.requestId }));
   * ```
   * @param options one object for all commands, or a function that returns the options of each. Two commands of one entity with the
   * same `jobId`, `idempotencyKey` or `deduplication` are refused (`InvalidOptionError`): nothing is added.
   */
  enqueueBulk<C extends object>(commands: readonly C[], options?: BulkOptions<C>): Promise<EnqueuedJob[]> {
    return this.sender.sendBulk(commands, options as BulkOptions);
  }

  /** Adds a named job, without a class. */
  enqueueJob(job: NamedJob, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.sender.send({ job }, options);
  }

  /**
   * Enqueues a command and resolves with the result of its handler, as its codec carries it (`undefined` arrives as `null`), on
   * whichever pod it runs. The type is that of `Command<R>` or `Query<R>`. For other commands name it: `enqueueAndWait<Receipt>(…)`.
   *
   * In addition to the errors of {@link enqueue} it rejects with:
   * - `HandlerError`: the handler threw, and no attempt is left;
   * - `ReplyTimeoutError`, `WaitAbortedError`: the wait ended before the job;
   * - `JobRemovedError`, `ResultUnavailableError`: the job has left no result;
   * - `AnswerGivenError`: the key was known, and its job has already finished;
   * - `TooManyWaitingCallsError`, `NotStartedError`: nothing was enqueued;
   * - `ClosedError`: this pod has shut down; the job continues.
   *
   * If the outcome of the enqueue is unknown, the call still waits. It resolves if the job was added, and otherwise rejects with
   * `OutcomeUnknownError` at its timeout.
   *
   * A handler that waits holds its entity: other jobs of the entity wait, too. A handler that would wait for its own entity, directly or
   * through other handlers, gets a `DeadlockError` at once (not with `currentJob: false`).
   *
   * @example
   * ```ts
   * const balance = await bus.enqueueAndWait(new Withdraw('42', 100), { timeoutMs: 5000 });
   * ```
   */
  enqueueAndWait<C extends object>(command: C, options?: WaitOptions): Promise<ResultOf<C>>;
  enqueueAndWait<R>(command: object, options?: WaitOptions): Promise<R>;
  enqueueAndWait(command: object, options?: WaitOptions): Promise<unknown> {
    return this.sender.sendAndWait({ command }, options);
  }

  /**
   * Like {@link enqueueAndWait}, for a named job. The type is the one that {@link EntityTypes} declares for the name. Otherwise name it:
   * `enqueueJobAndWait<Receipt>(…)`.
   */
  enqueueJobAndWait<J extends NamedJob>(job: J, options?: WaitOptions): Promise<JobResult<J['entityType'], J['name']>>;
  enqueueJobAndWait<R>(job: NamedJob, options?: WaitOptions): Promise<R>;
  enqueueJobAndWait(job: NamedJob, options?: WaitOptions): Promise<unknown> {
    return this.sender.sendAndWait({ job }, options);
  }

  /**
   * Adds a command that runs on its entity after its children have run on theirs. Children may have children. All jobs, 1,000 at most,
   * are added in one step, or none. A job with children joins the end of its entity's queue when the last of them has ended. Until then
   * its entity needs no worker for it. Its handler reads their results with `context.children()` or `currentJob().children()`. Flows
   * are BullMQ's, so `job.getChildrenValues()` works, too.
   *
   * With the `idempotencyKey` of an earlier flow, or the `jobId` of one whose first job has not ended, nothing is added.
   *
   * @example
   * ```ts
   * await bus.enqueueFlow({
   *   command: new ShipOrder('o-1'),
   *   children: [{ command: new Reserve('item-7', 2) }, { command: new Charge('customer-3', 80), onFailure: 'tellParent' }],
   * });
   * ```
   * @returns the ids of all jobs, in the same tree.
   */
  enqueueFlow(flow: FlowNode): Promise<EnqueuedFlow> {
    return this.sender.sendFlow(flow);
  }

  /**
   * Repeats a command, by an interval or a cron pattern, on BullMQ's Job Schedulers. A schedule has one job at a time. It joins the
   * queue of its entity when it is due, and the next one is made when it has ended, so runs that fall due in the meantime are left out.
   * The schedule lasts until {@link EntityQueue.unschedule}. Between its runs the entity needs no worker. It is safe to schedule the same
   * `id` again, for example at the start of each pod.
   *
   * @example
   * ```ts
   * await bus.schedule(new AddInterest('42'), { id: 'interest', pattern: '0 3 * * *', tz: 'Europe/Vienna' });
   * ```
   * @param options BullMQ's job options of each run. Options of one job alone (`jobId`, `delay`, keys) are refused.
   */
  schedule(command: object, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob> {
    return this.sender.schedule({ command }, schedule, options);
  }

  /** Like {@link schedule}, for a named job. */
  scheduleJob(job: NamedJob, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob> {
    return this.sender.schedule({ job }, schedule, options);
  }

  /** Returns a bus for one entity type. */
  forEntity<T extends EntityTypeName>(entityType: T): ScopedQueueBus<T> {
    return this.scoped<T>({ entityType });
  }

  /**
   * Returns a bus for the entity type of a `@WorkerProcessor`, which need not be a provider of this application.
   * @throws InvalidOptionError when the class has no `@WorkerProcessor`.
   */
  forProcessor(processor: Class): ScopedQueueBus<string> {
    const options = typeof processor === 'function' ? getMetadata(processor, 'processor') : undefined;
    if (!options) {
      throw new InvalidOptionError(
        `${typeof processor === 'function' ? processor.name : typeof processor} has no @WorkerProcessor. Decorate it, or use forEntity(type), which needs none.`,
      );
    }
    const schemas = getMetadata(processor, 'jobSchemas') ?? new Map();
    return this.scoped({ entityType: options.entityType, processor: { name: processor.name, options, schemas } });
  }

  private scoped<T extends string>(scope: Scope): ScopedQueueBus<T> {
    const sender = this.sender.within(scope);
    const named = (job: object) => ({ job: job as UnscopedJob });
    return {
      enqueue: (command, options) => sender.send({ command }, options),
      enqueueBulk: (commands, options) => sender.sendBulk(commands, options as BulkOptions),
      enqueueJob: (job, options) => sender.send(named(job), options),
      enqueueAndWait: (command: object, options?: WaitOptions) => sender.sendAndWait({ command }, options) as never,
      enqueueJobAndWait: (job: object, options?: WaitOptions) => sender.sendAndWait(named(job), options) as never,
      schedule: (command, schedule, options) => sender.schedule({ command }, schedule, options),
      scheduleJob: (job, schedule, options) => sender.schedule(named(job), schedule, options),
    };
  }
}
