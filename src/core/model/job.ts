/**
 * Jobs: new ones, fetched ones, their ends, and the contexts of their handlers. Types only, except for {@link childResult}.
 * Neighbour: `ports/store.ts` says how a store keeps them.
 */

import type { EntityRef } from './entity.js';
import type { ChildRef, ContextValues, Envelope } from './envelope.js';
import type { Thrown } from './reply.js';

/** BullMQ's options of one job. `options/job-options.ts` says which are supported. */
export type JobOptions = Readonly<Record<string, unknown>>;

/** A job that is enqueued. */
export interface NewJob {
  readonly entity: EntityRef;
  readonly name: string;
  /** The payload as JSON text, written by the codec that the envelope names. */
  readonly data: string;
  readonly options: JobOptions;
  readonly envelope?: Envelope;
}

/** A job that this pod has fetched and may run when its turn has come. */
export interface FetchedJob {
  readonly id: string;
  readonly name: string;
  /** The payload, as its codec has written it. */
  readonly data: unknown;
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** Number of failed attempts. A start whose pod died does not count. */
  readonly attemptsMade: number;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  /** Whether the operator has skipped it: it fails, even if `onExhausted` of its type says otherwise. */
  readonly isSkipped?: boolean;
  /** Set if the job must fail with this reason without running: it stalled too often, or its data is gone. */
  readonly mustFail?: string;
  /** The error with which it failed before it blocked its entity, or was put behind a job that did. For the waiting caller. */
  readonly thrown?: Thrown;
  /** Whether `mustFail` is because of a failed child. */
  readonly hasFailedChild?: boolean;
  /** For a parent in a flow: how its children have ended, in the given order, with stored results. Guarded by the claim of the fetch. */
  readonly children?: (() => Promise<readonly ChildResult[]>) | undefined;
  /**
   * The job in the store's own form (a BullMQ `Job`), built at the first call and guarded by the claim of the fetch.
   * @param payload the payload for the handler. @default the stored payload
   */
  native(payload?: HandlerPayload): unknown;
}

/** The payload of a job for its handler. */
export interface HandlerPayload {
  readonly data: unknown;
  /** Encodes data that the handler writes in its place, as JSON text. @throws UnserializableDataError, PayloadTooLargeError */
  encode(data: unknown): string;
}

/** How the child of a job has ended, as its parent sees it. */
export interface ChildResult<Value = unknown> {
  readonly entityType: string;
  readonly entityId: string;
  readonly jobId: string;
  readonly name: string;
  readonly outcome: /** Completed, with the result of its handler as its codec carries it. */
    | { readonly kind: 'completed'; readonly value: Value }
    /** Failed with all attempts used up, or removed. */
    | { readonly kind: 'failed'; readonly reason: string };
}

/** @param outcome the outcome in the store. Undefined if an operator has removed the child or had it retried. */
export function childResult(child: ChildRef, outcome: ChildResult['outcome'] | undefined): ChildResult {
  const { type: entityType, id: entityId, jobId, name } = child;
  return {
    entityType,
    entityId,
    jobId,
    name,
    outcome: outcome ?? { kind: 'failed', reason: 'the operator has removed it, or had it retried' },
  };
}

/** How a job ended on this pod. */
export interface Settlement {
  readonly job: FetchedJob;
  /**
   * For a shared read: the reads that run alongside it on this pod. Their ends may come later, although they are older (I6). For a job that
   * keeps its place: all jobs that have started on this pod without a confirmed end; they stay as they are.
   */
  readonly alongside?: readonly string[];
  /** Number of the batch, the same for all its ends, since they are one step. */
  readonly batch?: number;
  readonly outcome:
    | {
        readonly kind: 'completed';
        readonly value: string;
        /** Why the waiting caller does not get the result. */
        readonly withheld?: string;
      }
    /** No attempt is left. `blocked`: its entity waits until the operator decides. `dead`: it becomes a dead letter. */
    | {
        readonly kind: 'failed' | 'blocked' | 'dead';
        readonly reason: string;
        readonly stack: string;
        /** For the waiting caller. */
        readonly thrown?: Thrown;
      }
    /** No attempt is left, but an earlier job of its batch is retried or blocks. It blocks, without running, when its turn comes. */
    | { readonly kind: 'postponed'; readonly reason: string; readonly stack: string; readonly thrown?: Thrown }
    /** Retried after `delayMs`. */
    | { readonly kind: 'retrying'; readonly reason: string; readonly stack: string; readonly delayMs: number };
}

/** Runs one job to its end. Its result is stored as the job's result. */
export type JobRunner = (job: FetchedJob, context: JobContext) => unknown;

/** The context of the handler of a job or a batch. */
export interface EntityContext {
  readonly entityType: string;
  readonly entityId: string;
  /** Number that grows with each owner of the entity (I4), as decimal digits. Let the database refuse writes with a smaller one. */
  readonly fencingToken: string;
  /**
   * Aborts when this pod has lost the entity, at the end of `shutdownTimeoutMs`, or after `handlerTimeoutMs`. Then stop, and write nothing
   * more. It belongs to this run only, and does not abort after its end.
   */
  readonly signal: AbortSignal;
}

/** The context of the handler of one job. */
export interface JobContext<Native = unknown> extends EntityContext {
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** Values of the code that enqueued the job, for the keys of the option `context`. */
  readonly contextValues: ContextValues;
  /** The job in the store's own form. */
  readonly job: Native;
  /**
   * Resolves with how the children of this job have ended, in the order of `enqueueFlow`. Empty for a job without children. A removed
   * child counts as failed.
   * @throws StaleClaimError when this pod has lost the entity.
   *
   * @example
   * ```ts
   * const [debit] = await context.children<{ paid: number }>();
   * if (debit?.outcome.kind === 'completed') total += debit.outcome.value.paid;
   * ```
   */
  children<Value = unknown>(): Promise<readonly ChildResult<Value>[]>;
}
