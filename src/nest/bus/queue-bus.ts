/**
 * The bus of an application: commands, or named jobs, to the queues of their entities.
 * Neighbours: `sender.ts` sends what is given here; `bus-options.ts` has the types.
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
 * Enqueues commands. Inject it where you would have executed them.
 *
 * All methods reject with a subclass of {@link AtomicQueuesError}: `InvalidCommandError`, `InvalidEntityError`,
 * `ValidationError`, `UnserializableDataError`, `PayloadTooLargeError`, `InvalidOptionError`, `UnsupportedError`, `BacklogFullError`, `StoreUnavailableError` (nothing
 * was added), `OutcomeUnknownError` (the job may have been added), `ClosedError`; those of a bulk also with `BulkEnqueueError`,
 * which tells which of its jobs were not added.
 */
@Injectable()
export class QueueBus {
  private readonly sender: Sender;

  constructor(@Inject(Runtime) runtime: Runtime) {
    this.sender = new Sender(runtime);
  }

  /**
   * Adds a command to the queue of its entity. Resolves when the queue has it: from then on it runs at least once, after
   * everything that was enqueued for the entity before.
   * @param options BullMQ's job options; those that would break the order are refused.
   */
  enqueue(command: object, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.sender.send({ command }, options);
  }

  /**
   * Adds commands in one go. All are checked first; the order within an entity is that of the array.
   *
   * @example
   * ```ts
   * await bus.enqueueBulk(deposits, deposit => ({ idempotencyKey: deposit.requestId }));
   * ```
   * @param options of all commands, or a function that returns those of each. Two commands of one entity with the same `jobId`,
   * `idempotencyKey` or `deduplication` are refused (`InvalidOptionError`): nothing is added.
   */
  enqueueBulk<C extends object>(commands: readonly C[], options?: BulkOptions<C>): Promise<EnqueuedJob[]> {
    return this.sender.sendBulk(commands, options as BulkOptions);
  }

  /** Adds a job by name, without a class. */
  enqueueJob(job: NamedJob, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.sender.send({ job }, options);
  }

  /**
   * Enqueues a command and resolves with what its handler returns, as its codec carries it (`undefined` comes as `null`), wherever it
   * runs. The type is that of `Command<R>` or `Query<R>`; for other commands name it: `enqueueAndWait<Receipt>(…)`.
   *
   * Beside the errors of {@link enqueue} it rejects with `HandlerError` (it threw, and no try is left), `ReplyTimeoutError`,
   * `JobRemovedError`, `ResultUnavailableError`, `WaitAbortedError`, `AnswerGivenError` (the key was known, and the job is
   * through), `TooManyWaitingCallsError` (nothing was enqueued), `ClosedError`, and while the application starts with `NotStartedError`. An enqueue whose outcome is unknown is waited for all the same: if it was added, its answer
   * comes; if not, the call rejects with `OutcomeUnknownError` at its timeout.
   *
   * A handler that waits holds its entity meanwhile: all that is enqueued for it waits, too. One that would wait for its own
   * entity, directly or through others that wait for it, gets a `DeadlockError` at once (not with `currentJob: false`).
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
   * As {@link enqueueAndWait}, by name, without a class. The type is what {@link EntityTypes} says of jobs of that name; else name
   * it: `enqueueJobAndWait<Receipt>(…)`.
   */
  enqueueJobAndWait<J extends NamedJob>(job: J, options?: WaitOptions): Promise<JobResult<J['entityType'], J['name']>>;
  enqueueJobAndWait<R>(job: NamedJob, options?: WaitOptions): Promise<R>;
  enqueueJobAndWait(job: NamedJob, options?: WaitOptions): Promise<unknown> {
    return this.sender.sendAndWait({ job }, options);
  }

  /**
   * Adds a command that runs on its entity after others, its children, have run on theirs; these may have children, too. All of
   * it is added in one step, or nothing: 1,000 jobs at most. A job with children joins the end of its entity's queue when the last
   * of them has ended; until then its entity needs no worker for it. Its handler reads what they returned: `context.children()`, or
   * `currentJob().children()`. They are BullMQ flows; `job.getChildrenValues()` works, too.
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
   * @returns the ids of all its jobs, as the tree that was given.
   */
  enqueueFlow(flow: FlowNode): Promise<EnqueuedFlow> {
    return this.sender.sendFlow(flow);
  }

  /**
   * Enqueues a command again and again, by an interval or a cron pattern, on BullMQ's Job Schedulers. A schedule has one job at
   * a time: it joins the queue of its entity when it is due, and the next one is made when it has ended, so runs that fell due
   * meanwhile are left out. It goes on until {@link EntityQueue.unschedule}; between its runs the entity needs no worker. To
   * schedule the same `id` again, as each pod does when it starts, is harmless.
   *
   * @example
   * ```ts
   * await bus.schedule(new AddInterest('42'), { id: 'interest', pattern: '0 3 * * *', tz: 'Europe/Vienna' });
   * ```
   * @param options BullMQ's job options, of each run; those of one job alone (`jobId`, `delay`, keys) are refused.
   */
  schedule(command: object, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob> {
    return this.sender.schedule({ command }, schedule, options);
  }

  /** As {@link schedule}, by name, without a class. */
  scheduleJob(job: NamedJob, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob> {
    return this.sender.schedule({ job }, schedule, options);
  }

  /** A bus for one entity type. */
  forEntity<T extends EntityTypeName>(entityType: T): ScopedQueueBus<T> {
    return this.scoped<T>({ entityType });
  }

  /**
   * A bus for the entity type of a `@WorkerProcessor`, which need not be a provider of this application.
   * @throws InvalidOptionError when the class is none.
   */
  forProcessor(processor: Class): ScopedQueueBus<string> {
    const options = typeof processor === 'function' ? getMetadata(processor, 'processor') : undefined;
    if (!options) {
      throw new InvalidOptionError(
        `${typeof processor === 'function' ? processor.name : typeof processor} is no @WorkerProcessor; forEntity(type) needs none.`,
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
