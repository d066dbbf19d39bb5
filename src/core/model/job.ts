/**
 * Jobs: on their way in, as a pod has fetched them, how they end, and what their handlers know of them.
 * Neighbour: `store.ts` says what a store does with them.
 */

import type { EntityRef } from './entity.js';
import type { ChildRef, ContextValues, Envelope } from './envelope.js';
import type { Thrown } from './reply.js';

/** Options of one job: those of BullMQ. The store knows which it supports. */
export type JobOptions = Readonly<Record<string, unknown>>;

/** A job on its way in. */
export interface NewJob {
  readonly entity: EntityRef;
  readonly name: string;
  /** The payload as JSON text, as the codec that the envelope names has written it. */
  readonly data: string;
  readonly options: JobOptions;
  readonly envelope?: Envelope;
}

/** A job that this pod has fetched and may run once its turn has come. */
export interface FetchedJob {
  readonly id: string;
  readonly name: string;
  /** As its codec has written it. */
  readonly data: unknown;
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** How many tries have failed so far; a start whose pod died is none. */
  readonly attemptsMade: number;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  /** A person has given it up: it fails whatever its type does with jobs that have used up their tries. */
  readonly isSkipped?: boolean;
  /** Set when the job must not run but fail with this reason (it stalled too often, its data is gone). */
  readonly mustFail?: string;
  /** With which it had failed when it blocked its entity, or was put behind one that did; for whoever waits for it. */
  readonly thrown?: Thrown;
  /** That is since a child of it has failed. */
  readonly hasFailedChild?: boolean;
  /** Of a parent: how its children have ended, in the order given; results as they are stored. Guarded by the claim it was fetched under. */
  readonly children?: (() => Promise<readonly ChildResult[]>) | undefined;
  /**
   * The job in the store's own form (a BullMQ `Job`); built when first asked for, guarded by the claim it was fetched under.
   * @param payload as the handler is to see it. Default: as it is stored.
   */
  native(payload?: HandlerPayload): unknown;
}

/** The payload of a job for its handler. */
export interface HandlerPayload {
  readonly data: unknown;
  /** What the handler puts in its place, as JSON text. @throws UnserializableDataError, PayloadTooLargeError */
  encode(data: unknown): string;
}

/** How the child of a job has ended, as its parent sees it. */
export interface ChildResult<Value = unknown> {
  readonly entityType: string;
  readonly entityId: string;
  readonly jobId: string;
  readonly name: string;
  readonly outcome: /** What its handler returned, as its codec carries it. */
    | { readonly kind: 'completed'; readonly value: Value }
    /** With all its tries used up, or removed by a person. */
    | { readonly kind: 'failed'; readonly reason: string };
}

/** @param outcome what the store knows of it; a person may have removed the child, or had it tried again, without a word. */
export function childResult(child: ChildRef, outcome: ChildResult['outcome'] | undefined): ChildResult {
  const { type: entityType, id: entityId, jobId, name } = child;
  return {
    entityType,
    entityId,
    jobId,
    name,
    outcome: outcome ?? { kind: 'failed', reason: 'it was removed, or tried again, by a person' },
  };
}

/** How a job ended here. */
export interface Settlement {
  readonly job: FetchedJob;
  /**
   * Of a shared read: the reads that run beside it here, whose ends may come later, though they are older (I6). Of one that keeps its
   * place: all that has started here and whose end is not confirmed; it stays as it is.
   */
  readonly beside?: readonly string[];
  /** Of a batch, whose ends are one step: the same for all of them. */
  readonly batch?: number;
  readonly outcome:
    | {
        readonly kind: 'completed';
        readonly value: string;
        /** Why whoever waits for the result is not told it. */
        readonly withheld?: string;
      }
    /** For good. `blocked`: its entity waits until a person decides what becomes of it; `dead`: it becomes a dead letter. */
    | {
        readonly kind: 'failed' | 'blocked' | 'dead';
        readonly reason: string;
        readonly stack: string;
        /** For whoever waits for it. */
        readonly thrown?: Thrown;
      }
    /** For good, but behind one of its batch that is tried again, or blocks: it blocks, without running, when its turn comes. */
    | { readonly kind: 'postponed'; readonly reason: string; readonly stack: string; readonly thrown?: Thrown }
    /** To be tried again after so many ms. */
    | { readonly kind: 'retrying'; readonly reason: string; readonly stack: string; readonly delayMs: number };
}

/** Runs one job to its end. What it returns is stored as the job's result. */
export type JobRunner = (job: FetchedJob, context: JobContext) => unknown;

/** What a handler may know of its entity: of a batch as of one job. */
export interface EntityContext {
  readonly entityType: string;
  readonly entityId: string;
  /** Grows with each new owner of the entity (I4): let the database refuse writes with a smaller one. Decimal digits. */
  readonly fencingToken: string;
  /**
   * Aborted when this pod has lost the entity, shuts down and waits no longer, or `handlerTimeoutMs` is over: stop, and write nothing
   * more. It is of this run alone; once that has ended, it is aborted no more.
   */
  readonly signal: AbortSignal;
}

/** What a running job may know of itself and its entity. */
export interface JobContext<Native = unknown> extends EntityContext {
  /** Which start of this job this is, from 1. */
  readonly attempt: number;
  /** What travelled with the job: values of the option `context.keys`, of the code that enqueued it. */
  readonly contextValues: ContextValues;
  /** The job in the store's own form. */
  readonly job: Native;
  /**
   * How the children of this job have ended, in the order in which `enqueueFlow` was given them; of a job without children,
   * none. A child that was removed, by `drop()` say, has failed.
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
