/**
 * The job that runs here, for code anywhere below its handler.
 *
 * Owns the asynchronous context. Neighbour: `job-execution.ts` runs handlers within it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Lease } from './lease.js';
import type { FetchedJob, HandlerPayload, JobContext } from './ports.js';

const storage = new AsyncLocalStorage<JobContext>();

export function runAsCurrent<T>(context: JobContext, run: () => T): T {
  return storage.run(context, run);
}

export function runningJob(): JobContext | undefined {
  return storage.getStore();
}

/** A job under the lease under which it was started. */
export class RunningJob implements JobContext {
  constructor(
    private readonly fetched: FetchedJob,
    private readonly lease: Lease,
    private readonly payload: HandlerPayload,
  ) {}

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

  get attempt(): number {
    return this.fetched.attempt;
  }

  get job(): unknown {
    return this.fetched.native(this.payload);
  }
}
