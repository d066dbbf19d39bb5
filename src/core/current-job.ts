/**
 * The job or the batch that runs here, for code anywhere below its handler.
 *
 * Owns the asynchronous context. Neighbour: `job-execution.ts` runs handlers within it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type ContextValues, NO_VALUES } from './envelope.js';
import type { Lease } from './lease.js';
import type { ChildResult, EntityContext, FetchedJob, JobContext } from './ports.js';

const storage = new AsyncLocalStorage<EntityContext>();

export function runAsCurrent<T>(context: EntityContext, run: () => T): T {
  return storage.run(context, run);
}

/** Of the job or the batch that runs here. */
export function runningEntity(): EntityContext | undefined {
  return storage.getStore();
}

/** Nothing in a batch, which has several. */
export function runningJob(): JobContext | undefined {
  const context = storage.getStore();
  return context instanceof RunningJob ? context : undefined;
}

/** A batch, or a job, under the lease under which it was started. */
export class RunningEntity implements EntityContext {
  constructor(private readonly lease: Lease) {}

  get entityType(): string {
    return this.lease.claim.entity.type;
  }

  get entityId(): string {
    return this.lease.claim.entity.id;
  }

  get fencingToken(): string {
    return this.lease.claim.token;
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }
}

export class RunningJob extends RunningEntity implements JobContext {
  constructor(
    private readonly fetched: FetchedJob,
    lease: Lease,
    readonly contextValues: ContextValues = NO_VALUES,
  ) {
    super(lease);
  }

  get attempt(): number {
    return this.fetched.attempt;
  }

  get job(): unknown {
    return this.fetched.native();
  }

  async children<Value>(): Promise<readonly ChildResult<Value>[]> {
    const { children } = this.fetched;
    return children ? ((await children()) as readonly ChildResult<Value>[]) : [];
  }
}
