/** The public door: named exports, nothing else. */
export {
  AnswerGivenError,
  DeadlockError,
  HandlerError,
  JobRemovedError,
  ReplyTimeoutError,
  ResultUnavailableError,
  TooManyWaitingCallsError,
  WaitAbortedError,
} from './core/answer-errors.js';
export type { CallState } from './core/answers-port.js';
export type { BatchOptions } from './core/batch.js';
export { type JsonValue, jsonCodec, type PayloadCodec } from './core/codec.js';
export type { ContextOptions } from './core/context.js';
export { type Encryption, encryptedCodec } from './core/encrypted-codec.js';
export type { EntityOptions, OnExhausted, Ordering, RateLimit, WorkerOptions } from './core/engine-options.js';
export type { EnqueuedFlow, EnqueuedJob, ScheduledJob } from './core/enqueue.js';
export type { EntityId, EntityRef } from './core/entity.js';
export type { ContextValue, ContextValues } from './core/envelope.js';
export {
  AtomicQueuesError,
  AuthenticationError,
  BacklogFullError,
  BatchFailure,
  BulkEnqueueError,
  ChildFailedError,
  ClosedError,
  ContextError,
  DrainTimeoutError,
  type FailedJob,
  HandlerConflictError,
  HandlerNotFoundError,
  HandlerTimeoutError,
  InvalidCommandError,
  InvalidEntityError,
  InvalidOptionError,
  JobAbandonedError,
  JobRefusedError,
  NotStartedError,
  OutcomeUnknownError,
  PayloadTooLargeError,
  PayloadUnreadableError,
  StaleClaimError,
  StepTooLargeError,
  StoreRefusedError,
  StoreUnavailableError,
  UnserializableDataError,
  UnsupportedError,
  ValidationError,
  type ValidationIssue,
} from './core/errors.js';
export type { LifecycleEvent } from './core/events.js';
export type { OnChildFailure } from './core/flow.js';
export type { ChildResult, EntityContext } from './core/jobs.js';
export type { DeadLetter, EntityStatus, JobState, JobView, ScheduleView } from './core/operating.js';
export type { Schedule } from './core/schedule.js';
export { type SuperJson, superjsonCodec } from './core/superjson-codec.js';
export type { SchemaOptions, StandardSchema } from './core/validation.js';
export { AtomicQueuesModule } from './nest/atomic-queues.module.js';
export type {
  BulkOptions,
  EnqueueOptions,
  FlowNode,
  FlowNodeOptions,
  ScopedQueueBus,
  WaitOptions,
} from './nest/bus-options.js';
export { CronManagerService } from './nest/cron-manager.service.js';
export { currentEntity, currentJob, type JobContext } from './nest/current-job.js';
export type { DeadLetterQueue } from './nest/dead-letter-queue.js';
export {
  BatchHandler,
  JobCommand,
  JobHandler,
  type JobHandlerOptions,
  JobQuery,
  QueueEntity,
  QueueEntityId,
  type QueueEntityOptions,
  WorkerProcessor,
} from './nest/decorators.js';
export { type EntityQueue, EntityQueues, type EntityTypeQueues } from './nest/entity-queues.js';
export type {
  EntityTypeName,
  EntityTypes,
  JobData,
  JobName,
  JobResult,
  NamedJob,
  ResultOf,
  ScopedJob,
} from './nest/entity-types.js';
export { AtomicQueuesEvents } from './nest/events.js';
export { HandlerErrorFilter } from './nest/handler-error.filter.js';
export type { WorkerProcessorOptions } from './nest/metadata.js';
export type { AtomicQueuesModuleOptions, AtomicQueuesOptionsFactory, EntitiesOptions } from './nest/options.js';
export { QueueBus } from './nest/queue-bus.js';
export { SpawnQueueService } from './nest/spawn-queue.service.js';
export type { RedisConnectionOptions, SentinelOptions, ServerOptions } from './store/redis/connection.js';
