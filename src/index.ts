/** The public API: named exports, nothing else. */
export {
  AnswerGivenError,
  DeadlockError,
  HandlerError,
  JobRemovedError,
  ReplyTimeoutError,
  ResultUnavailableError,
  TooManyWaitingCallsError,
  WaitAbortedError,
} from './core/calls/call-errors.js';
export type { OnChildFailure } from './core/enqueue/flow.js';
export type { EnqueuedFlow, EnqueuedJob, ScheduledJob } from './core/enqueue/requests.js';
export type { BatchOptions } from './core/handlers/batch-options.js';
export type { SchemaOptions, StandardSchema } from './core/handlers/validation.js';
export type { EntityId, EntityRef } from './core/model/entity.js';
export type { ContextValue, ContextValues } from './core/model/envelope.js';
export {
  AtomicQueuesError,
  BulkEnqueueError,
  ClosedError,
  DrainTimeoutError,
  HandlerConflictError,
  InvalidCommandError,
  InvalidEntityError,
  InvalidOptionError,
  NotStartedError,
  UnsupportedError,
} from './core/model/errors.js';
export type { LifecycleEvent } from './core/model/events.js';
export type { ChildResult, EntityContext } from './core/model/job.js';
export {
  BatchFailure,
  ChildFailedError,
  type FailedJob,
  HandlerNotFoundError,
  HandlerTimeoutError,
  JobAbandonedError,
  JobRefusedError,
  StaleClaimError,
} from './core/model/job-errors.js';
export {
  ContextError,
  PayloadTooLargeError,
  PayloadUnreadableError,
  UnserializableDataError,
  ValidationError,
  type ValidationIssue,
} from './core/model/payload-errors.js';
export type { Schedule } from './core/model/schedule.js';
export {
  AuthenticationError,
  BacklogFullError,
  OutcomeUnknownError,
  StepTooLargeError,
  StoreRefusedError,
  StoreUnavailableError,
} from './core/model/store-errors.js';
export type { EntityOptions, OnExhausted, Ordering, RateLimit, WorkerOptions } from './core/options/options.js';
export type { ContextOptions } from './core/payload/caller-context.js';
export { type JsonValue, jsonCodec, type PayloadCodec } from './core/payload/codec.js';
export { type Encryption, encryptedCodec } from './core/payload/encrypted-codec.js';
export { type SuperJson, superjsonCodec } from './core/payload/superjson-codec.js';
export type { DeadLetter, EntityStatus, JobState, JobView, ScheduleView } from './core/ports/operator.js';
export type { CallState } from './core/ports/replies.js';
export { AtomicQueuesModule } from './nest/atomic-queues.module.js';
export type {
  BulkOptions,
  EnqueueOptions,
  FlowNode,
  FlowNodeOptions,
  ScopedQueueBus,
  WaitOptions,
} from './nest/bus/bus-options.js';
export { HandlerErrorFilter } from './nest/bus/handler-error.filter.js';
export { QueueBus } from './nest/bus/queue-bus.js';
export { currentEntity, currentJob, type JobContext } from './nest/current-job.js';
export { JobCommand, JobQuery } from './nest/decorators/job-command.decorator.js';
export { BatchHandler, JobHandler, type JobHandlerOptions } from './nest/decorators/job-handler.decorator.js';
export type { WorkerProcessorOptions } from './nest/decorators/metadata.js';
export { QueueEntity, QueueEntityId, type QueueEntityOptions } from './nest/decorators/queue-entity.decorator.js';
export { WorkerProcessor } from './nest/decorators/worker-processor.decorator.js';
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
export { CronManagerService } from './nest/operator/cron-manager.service.js';
export type { DeadLetterQueue } from './nest/operator/dead-letter-queue.js';
export { type EntityQueue, EntityQueues, type EntityTypeQueues } from './nest/operator/entity-queues.js';
export { SpawnQueueService } from './nest/operator/spawn-queue.service.js';
export type {
  AtomicQueuesModuleOptions,
  AtomicQueuesOptionsFactory,
  EntitiesOptions,
} from './nest/options/module-options.js';
export type { RedisConnectionOptions, SentinelOptions, ServerOptions } from './store/redis/connection/options.js';
