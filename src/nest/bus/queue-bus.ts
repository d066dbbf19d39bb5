/**
 * The way in for an application: commands, or named jobs, to the queues of their entities.
 * Owns what a user may give and how its entity is found; neighbour `core/enqueue/enqueuer.ts` does the rest.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { WaitOptions as CoreWaitOptions } from '../../core/calls/pending-calls.js';
import type { EnqueuedFlow, EnqueuedJob, JobRequest, ScheduledJob } from '../../core/enqueue/enqueuer.js';
import type { FlowOf } from '../../core/enqueue/flow.js';
import type { EntityId } from '../../core/model/entity.js';
import { HandlerConflictError, InvalidCommandError, InvalidOptionError, rejecting } from '../../core/model/errors.js';
import type { JobOptions } from '../../core/model/job.js';
import type { Schedule } from '../../core/model/schedule.js';
import { checkKnown } from '../../core/options/checks.js';
import { ignoreRejections } from '../../core/payload/ignored-rejections.js';
import { type Class, getMetadata, type WorkerProcessorOptions, whoShares } from '../decorators/metadata.js';
import type { EntityTypeName, JobResult, NamedJob, ResultOf } from '../entity-types.js';
import { Runtime, type Started } from '../runtime.js';
import type { BulkOptions, EnqueueOptions, FlowNode, ScopedQueueBus, WaitOptions } from './bus-options.js';
import { type CommandClass, classOf, entityIdOf, readCommandClass } from './command-class.js';
import { type Schemas, validCommand, validData } from './valid-data.js';

/** A named job whose type the scope may know. */
interface UnscopedJob {
  readonly entityType?: string;
  readonly entityId: EntityId;
  readonly name: string;
  readonly data?: unknown;
}

/** What a scoped bus knows beforehand. */
interface Scope {
  readonly entityType: string;
  readonly processor?: {
    readonly name: string;
    readonly options: WorkerProcessorOptions;
    readonly schemas: Schemas;
  };
}

/** What a call was given, and through which bus. */
interface Given {
  readonly scope?: Scope | undefined;
  readonly given: unknown;
}

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
  private readonly classes = new WeakMap<Class, CommandClass>();
  private readonly names = new Map<string, Class>();

  constructor(@Inject(Runtime) private readonly runtime: Runtime) {}

  /**
   * Adds a command to the queue of its entity. Resolves when the queue has it: from then on it runs at least once, after
   * everything that was enqueued for the entity before.
   * @param options BullMQ's job options; those that would break the order are refused.
   */
  enqueue(command: object, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.send(command, options, undefined);
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
    return this.sendBulk(commands, options as BulkOptions, undefined);
  }

  /** Adds a job by name, without a class. */
  enqueueJob(job: NamedJob, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.sendNamed(job, options, undefined);
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
    return this.sendAndWait(command, options, undefined);
  }

  /**
   * As {@link enqueueAndWait}, by name, without a class. The type is what {@link EntityTypes} says of jobs of that name; else name
   * it: `enqueueJobAndWait<Receipt>(…)`.
   */
  enqueueJobAndWait<J extends NamedJob>(job: J, options?: WaitOptions): Promise<JobResult<J['entityType'], J['name']>>;
  enqueueJobAndWait<R>(job: NamedJob, options?: WaitOptions): Promise<R>;
  enqueueJobAndWait(job: NamedJob, options?: WaitOptions): Promise<unknown> {
    return this.sendNamedAndWait(job, options, undefined);
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
    return this.through({ given: flow }, ready =>
      ready.engine.enqueueFlow(this.flow(ready, flow)).catch(dropping(flow)),
    );
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
    return this.repeat(command, schedule, options, undefined);
  }

  /** As {@link schedule}, by name, without a class. */
  scheduleJob(job: NamedJob, schedule: Schedule, options?: EnqueueOptions): Promise<ScheduledJob> {
    return this.repeatNamed(job, schedule, options, undefined);
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
    return {
      enqueue: (command, options) => this.send(command, options, scope),
      enqueueBulk: (commands, options) => this.sendBulk(commands, options as BulkOptions, scope),
      enqueueJob: (job, options) => this.sendNamed(job as UnscopedJob, options, scope),
      enqueueAndWait: (command: object, options?: WaitOptions) => this.sendAndWait(command, options, scope) as never,
      enqueueJobAndWait: (job: object, options?: WaitOptions) =>
        this.sendNamedAndWait(job as UnscopedJob, options, scope) as never,
      schedule: (command, schedule, options) => this.repeat(command, schedule, options, scope),
      scheduleJob: (job, schedule, options) => this.repeatNamed(job as UnscopedJob, schedule, options, scope),
    };
  }

  private send(command: object, options: EnqueueOptions | undefined, scope: Scope | undefined): Promise<EnqueuedJob> {
    return this.through({ scope, given: command }, ready =>
      ready.engine.enqueue(this.request(ready, command, options, scope)),
    );
  }

  private sendBulk(
    commands: readonly object[],
    options: BulkOptions | undefined,
    scope: Scope | undefined,
  ): Promise<EnqueuedJob[]> {
    return this.through({ scope, given: commands }, ready => {
      if (!Array.isArray(commands)) throw new InvalidCommandError('enqueueBulk() needs an array of commands.');
      const optionsOf = typeof options === 'function' ? options : () => options;
      return ready.engine
        .enqueueBulk(commands.map((command, index) => this.request(ready, command, optionsOf(command, index), scope)))
        .catch(dropping(commands));
    });
  }

  private sendNamed(
    job: UnscopedJob,
    options: EnqueueOptions | undefined,
    scope: Scope | undefined,
  ): Promise<EnqueuedJob> {
    return this.through({ scope, given: job }, ready =>
      ready.engine.enqueue(namedRequest(ready, { job, options, scope })),
    );
  }

  private sendAndWait(command: object, options: WaitOptions = {}, scope: Scope | undefined): Promise<unknown> {
    return this.through({ scope, given: command }, ready => {
      const { ofJob, wait } = split(options);
      return this.callAndWait(ready, this.request(ready, command, ofJob, scope), wait);
    });
  }

  private sendNamedAndWait(job: UnscopedJob, options: WaitOptions = {}, scope: Scope | undefined): Promise<unknown> {
    return this.through({ scope, given: job }, ready => {
      const { ofJob, wait } = split(options);
      return this.callAndWait(ready, namedRequest(ready, { job, options: ofJob, scope }), wait);
    });
  }

  private callAndWait({ engine }: Started, request: JobRequest, wait: CoreWaitOptions): Promise<unknown> {
    this.runtime.checkWorks(request.entityType);
    return engine.enqueueAndWait(request, wait).catch(dropping(request.data));
  }

  private repeat(
    command: object,
    schedule: Schedule,
    options: EnqueueOptions | undefined,
    scope: Scope | undefined,
  ): Promise<ScheduledJob> {
    return this.through({ scope, given: command }, ready =>
      ready.engine.schedule(this.request(ready, command, options, scope), schedule).catch(dropping(command)),
    );
  }

  private repeatNamed(
    job: UnscopedJob,
    schedule: Schedule,
    options: EnqueueOptions | undefined,
    scope: Scope | undefined,
  ): Promise<ScheduledJob> {
    return this.through({ scope, given: job }, ready =>
      ready.engine.schedule(namedRequest(ready, { job, options, scope }), schedule).catch(dropping(job)),
    );
  }

  private flow(ready: Started, node: FlowNode): FlowOf<JobRequest> {
    if (typeof node !== 'object' || node === null || (node.command === undefined) === (node.job === undefined)) {
      throw new InvalidCommandError(
        'A job of a flow needs { command } or { job: { entityType, entityId, name, data } }.',
      );
    }
    checkKnown('A job of a flow:', node, ['command', 'job', 'options', 'onFailure', 'children']);
    const { command, job, options, onFailure, children = [] } = node;
    if (!Array.isArray(children)) throw new InvalidCommandError('The children of a job of a flow must be an array.');
    return {
      job: command
        ? this.request(ready, command, options, undefined)
        : namedRequest(ready, { job: job as UnscopedJob, options, scope: undefined }),
      onFailure,
      children: () => children.map(child => this.flow(ready, child)),
    };
  }

  /**
   * Waits only where it must: calls of one tick keep their order, whichever methods they use.
   * @param given what holds the payloads: dropped when it is refused before the engine has it.
   */
  private through<T>({ scope, given }: Given, use: (ready: Started) => Promise<T>): Promise<T> {
    const send = (ready: Started) => {
      try {
        if (scope) checkQueueName(scope, ready);
        return use(ready);
      } catch (error) {
        return dropping(given)(error);
      }
    };
    const { started } = this.runtime;
    return started instanceof Promise ? started.then(send) : rejecting(() => send(started));
  }

  private request(
    ready: Started,
    command: object,
    options: EnqueueOptions | undefined,
    scope: Scope | undefined,
  ): JobRequest {
    const known = this.commandClass(classOf(command), ready);
    const entityType = scope?.entityType ?? known.entityType;
    if (entityType === undefined) {
      throw new InvalidCommandError(
        `${known.target.name} is not decorated with @QueueEntity('…'); decorate it, or name its type: forEntity('…').enqueue(…).`,
      );
    }
    const defaultEntityId =
      scope?.processor?.options.defaultEntityId ?? ready.config.entityType(entityType).defaultEntityId;
    // What the schema makes of a command is what is enqueued: its entity, too.
    const valid = known.validator ? validCommand(ready, command, { ...known, entityType }) : command;
    return {
      entityType,
      entityId: entityIdOf(valid, known, defaultEntityId) as EntityId,
      name: known.name,
      data: valid,
      options: options as JobOptions,
    };
  }

  private commandClass(target: Class, { handlers, validators }: Started): CommandClass {
    let known = this.classes.get(target);
    if (!known) {
      known = readCommandClass(target, validators);
      // The name is all that a worker has: were it another class's, the wrong handler would run.
      const other = handlers.commandClass(known.name) ?? this.names.get(known.name);
      if (other && other !== target) {
        throw new HandlerConflictError(
          `Two command classes are named "${known.name}"; give one another name: @QueueEntity(type, { name: '…' }).`,
        );
      }
      const { entityType, isShared, name } = known;
      if (isShared && entityType !== undefined) handlers.checkShared(entityType, name, whoShares(target));
      this.names.set(name, target);
      this.classes.set(target, known);
    }
    return known;
  }
}

/** For a call that has failed: some of its payloads may not have been looked at. */
function dropping(given: unknown): (error: unknown) => never {
  return error => {
    ignoreRejections(given);
    throw error;
  };
}

/** What is the job's, and what is the caller's. */
function split({ timeoutMs, signal, cancelJob, ...ofJob }: WaitOptions) {
  return { ofJob, wait: { timeoutMs, signal, cancelJob } };
}

interface NamedRequest {
  readonly job: UnscopedJob;
  readonly options: EnqueueOptions | undefined;
  readonly scope: Scope | undefined;
}

function namedRequest(ready: Started, { job, options, scope }: NamedRequest): JobRequest {
  if (typeof job !== 'object' || job === null) {
    throw new InvalidCommandError('A job by name needs { entityType, entityId, name, data }.');
  }
  const entityType = scope?.entityType ?? (job.entityType as string);
  const data = validData(ready, { ...job, entityType }, scope?.processor?.schemas);
  return { ...job, entityType, data, options: options as JobOptions };
}

/**
 * A processor that is no provider here has told nobody its `queueName`: jobs would wait in queues that its workers don't
 * read. The names for one id tell.
 */
function checkQueueName({ entityType, processor }: Scope, { config }: Started): void {
  const own = processor?.options.queueName;
  if (!own || own('1') === config.entityType(entityType).queueName?.('1')) return;
  throw new InvalidOptionError(
    `${processor.name} has a queueName that this application does not know, as the class is none of its providers; give the same function in entities.${entityType}.queueName.`,
  );
}
