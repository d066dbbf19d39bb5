/**
 * The way in: a request is checked, encoded and sent to the store in one call, through the entity's worker where this
 * pod works the entity or may (its answer can bring the claim, or the job itself).
 */

import type { EntityId } from './entity.js';
import { entityRef } from './entity.js';
import { BulkEnqueueError, ClosedError, InvalidCommandError, rejecting } from './errors.js';
import { checkJobOptions, checkOrder, checkSize, encodeData } from './job-data.js';
import type { EngineConfig } from './options.js';
import type { EntityStore, JobOptions, NewJob } from './ports.js';
import type { WorkerManager } from './worker-manager.js';

/** A job as a user asks for it. */
export interface JobRequest {
  readonly entityType: string;
  readonly entityId: EntityId;
  readonly name: string;
  /** Anything that JSON can carry. */
  readonly data: unknown;
  /** BullMQ's options of a job. */
  readonly options?: JobOptions;
}

/** A job that was added: from now on it is the queue's, whatever becomes of this process. */
export interface EnqueuedJob {
  /** BullMQ's id of the job; the one that was given, or a new one. */
  readonly jobId: string;
  readonly entityType: string;
  readonly entityId: string;
  /** Name of the entity's BullMQ queue. */
  readonly queueName: string;
}

export class Enqueuer {
  private closed = false;

  constructor(
    private readonly store: EntityStore,
    private readonly config: EngineConfig,
    private readonly manager: WorkerManager,
  ) {}

  /** One promise a job and not four: that is a tenth of what a job costs. */
  enqueue(request: JobRequest): Promise<EnqueuedJob> {
    return rejecting(() => this.send(this.check(request)));
  }

  /** All are checked before any is sent; they travel together, and keep their order. */
  async enqueueBulk(requests: readonly JobRequest[]): Promise<EnqueuedJob[]> {
    const jobs = requests.map(request => this.check(request));
    const outcomes = await Promise.allSettled(jobs.map(job => this.send(job)));
    const errors = outcomes.map(outcome => (outcome.status === 'rejected' ? (outcome.reason as Error) : undefined));
    const failed = errors.filter(error => error !== undefined);
    if (failed.length > 0) {
      throw new BulkEnqueueError(
        `${failed.length} of ${jobs.length} jobs were not added, or nobody knows; the first: ${failed[0]?.message}`,
        errors,
      );
    }
    return outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  }

  close(): void {
    this.closed = true;
  }

  private check({ entityType, entityId, name, data, options }: JobRequest): NewJob {
    if (this.closed) throw new ClosedError();
    if (typeof name !== 'string' || name === '') {
      throw new InvalidCommandError(`A job of entity type "${entityType}" has no name; give a non-empty string.`);
    }
    const culprit = `Job "${name}"`;
    const entity = entityRef(entityType, entityId, culprit);
    if (options) checkJobOptions(options, culprit);
    const type = this.config.entityType(entity.type);
    if (options) checkOrder(options, type, culprit);
    const { jobOptions } = type;
    const encoded = encodeData(data, culprit);
    const merged = options ? { ...jobOptions, ...options } : jobOptions;
    checkSize(encoded, merged, culprit);
    // Without options of its own a job shares one object with all others of its type: what is encoded once stays encoded.
    return {
      entity,
      name,
      data: encoded,
      options: merged,
    };
  }

  private send(job: NewJob): Promise<EnqueuedJob> {
    const { entity } = job;
    const worker = this.manager.forEnqueue(entity);
    const entered = worker ? worker.enter(job) : this.store.enter(job, 'route-only');
    return entered.then(({ jobId, route }) => {
      if (route === 'nobody') this.manager.onSentAway(entity.type);
      return { jobId, entityType: entity.type, entityId: entity.id, queueName: this.store.queueName(entity) };
    });
  }
}
