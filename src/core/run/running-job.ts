/**
 * The running job or batch, for the handler and for all code that it calls.
 *
 * Owns: the asynchronous context of a run, its signal, and what a handler can read of its job.
 * Neighbours: `run-job.ts` and `run-batch.ts` run handlers within that context. `lease.ts` says when the signal aborts.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type ContextValues, type Envelope, NO_VALUES } from '../model/envelope.js';
import type { ChildResult, EntityContext, FetchedJob, HandlerPayload, JobContext } from '../model/job.js';
import type { Codecs } from '../payload/codec.js';
import { decodeResult } from '../payload/payload.js';
import type { Lease } from './lease.js';

const storage = new AsyncLocalStorage<RunningEntity>();

export function runAsCurrent<T>(context: RunningEntity, run: () => T): T {
  return storage.run(context, run);
}

/** The run that the calling code belongs to: a job or a batch. Undefined outside a handler. */
export function runningEntity(): RunningEntity | undefined {
  return storage.getStore();
}

/** The job that the calling code belongs to. Undefined in a batch, which has several. */
export function runningJob(): RunningJob | undefined {
  const context = storage.getStore();
  return context instanceof RunningJob ? context : undefined;
}

/** A running batch or job, with the lease under which it was started. */
export class RunningEntity implements EntityContext {
  private ended = false;
  /** Created when the handler first reads its signal: most handlers never do. */
  private run: AbortController | undefined;
  /** Why this run, and no other run under its claim, was told to stop. */
  private reason: Error | undefined;

  /** @param jobs the jobs of a batch. */
  constructor(
    private readonly lease: Lease,
    private readonly jobs: readonly FetchedJob[] = [],
  ) {}

  /** Whether the run has ended. Code that a handler left behind, such as a timer, still runs in its context. */
  get hasEnded(): boolean {
    return this.ended;
  }

  end(): void {
    this.ended = true;
    if (this.run) this.lease.letGo(this.run);
  }

  /** Tells this run to stop, but no other run under its claim. */
  abort(reason: Error): void {
    this.reason ??= reason;
    this.run?.abort(reason);
  }

  get envelopes(): readonly Envelope[] {
    return this.jobs.map(({ envelope }) => envelope);
  }

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
    if (!this.run) {
      this.run = new AbortController();
      // guards: running-job.signal
      if (this.reason) this.run.abort(this.reason);
      this.lease.follow(this.run);
      if (this.ended) this.lease.letGo(this.run);
    }
    return this.run.signal;
  }
}

/** The parts of a job that its handler can read. */
export interface JobParts {
  readonly payload: HandlerPayload;
  /** The codecs of the results of its children. */
  readonly codecs: Codecs;
  readonly contextValues: ContextValues | undefined;
}

export class RunningJob extends RunningEntity implements JobContext {
  constructor(
    private readonly fetched: FetchedJob,
    lease: Lease,
    private readonly parts: JobParts,
  ) {
    super(lease);
  }

  get contextValues(): ContextValues {
    return this.parts.contextValues ?? NO_VALUES;
  }

  get attempt(): number {
    return this.fetched.attempt;
  }

  override get envelopes(): readonly Envelope[] {
    return [this.fetched.envelope];
  }

  get job(): unknown {
    return this.fetched.native(this.parts.payload);
  }

  async children<Value>(): Promise<readonly ChildResult<Value>[]> {
    const { children, envelope } = this.fetched;
    const results = children ? await children() : [];
    const refs = envelope.children ?? [];
    return results.map((result, at) => decodeResult(this.parts.codecs, refs[at], result) as ChildResult<Value>);
  }
}
