/**
 * The seam to BullMQ: its script bodies, the order of their keys, and the arguments it builds for them.
 *
 * BullMQ gets a client that records instead of executing. The scripts that it defines are the bodies, and the calls that it makes
 * show the keys. So this library repeats nothing of BullMQ, and follows or refuses a release that changes it.
 * Neighbour: `native-job.ts`, which builds BullMQ's `Job` for handlers.
 */

import { createRedisBackend, Job, type JobsOptions, type RedisQueueBackend } from 'bullmq';
import { Unpackr } from 'msgpackr';
import { InvalidOptionError, messageOf } from '../../../core/model/errors.js';
import type { JobOptions, NewJob } from '../../../core/model/job.js';
import { wellFormedJson } from '../../../core/model/well-formed.js';
import { wallMs } from '../../../core/ports/own-timers.js';
import type { EntityKeys } from '../keys.js';
import type { BullBodies } from '../lua/compose.js';
import type { FailureFields } from './failure-fields.js';
import { BASE, QUEUE, RecordingClient, recordKeyNames, unsupported } from './recorder.js';

/** A new job as its script reads it. */
export interface EncodedAdd {
  /** `parent`: it waits for its children. */
  readonly kind: 'standard' | 'delayed' | 'prioritized' | 'parent';
  readonly timestamp: number;
  readonly options: string;
  readonly customId: string;
  /** '' for none. */
  readonly dedupKey: string;
}

const ADD = {
  standard: 'addStandardJob',
  delayed: 'addDelayedJob',
  prioritized: 'addPrioritizedJob',
  parent: 'addParentJob',
} as const;

const BODIES = [
  ...Object.values(ADD),
  'moveToActive',
  'moveToFinished',
  'retryJob',
  'moveToDelayed',
  'pause',
  'removeJob',
  'removeChildDependency',
  'updateData',
  'updateProgress',
  'addLog',
  'addJobScheduler',
  'updateJobScheduler',
  'removeJobScheduler',
];

/** A worker as BullMQ's script bodies see it. */
export interface WorkerView {
  readonly name: string;
  readonly lockDuration: number;
  readonly limiter: { readonly max: number; readonly duration: number } | undefined;
}

export class Bull {
  readonly scripts: BullBodies;
  private readonly addOptions = new WeakMap<JobOptions, { kind: EncodedAdd['kind']; options: string; json: Job }>();
  private readonly finishOptions = new WeakMap<WorkerView, Map<string, string>>();

  private constructor(
    private readonly client: RecordingClient,
    private readonly backend: RedisQueueBackend,
    /** BullMQ reads these while it builds arguments. */
    private readonly workerOptions: WorkerView,
    private readonly lockToken: string,
    keyNames: BullBodies['keyNames'],
  ) {
    const bodies = Object.fromEntries(BODIES.map(name => [name, client.scripts.get(name)?.lua ?? '']));
    this.scripts = { bodies, keyNames };
  }

  /** @throws UnsupportedError when the installed BullMQ does not have what this library builds on. */
  static async load(lockToken: string): Promise<Bull> {
    const client = new RecordingClient();
    const workerOptions: WorkerView = { lockDuration: 0, name: '', limiter: undefined };
    const options = { connection: client, prefix: QUEUE.prefix, skipVersionCheck: true, skipWaitingForReady: true };
    const backend = createRedisBackend(QUEUE.name, Object.assign(workerOptions, options) as never);
    await backend.waitUntilReady();
    for (const name of BODIES) {
      if (!client.scripts.has(name)) throw unsupported(`it has no script ${name}`);
    }
    return new Bull(client, backend, workerOptions, lockToken, await recordKeyNames(client, backend));
  }

  /** @throws InvalidOptionError when BullMQ refuses the options. */
  encodeAdd(job: NewJob, keys: EntityKeys): EncodedAdd {
    let known = this.addOptions.get(job.options);
    if (!known) {
      known = this.encodeAddOptions(job.options);
      this.addOptions.set(job.options, known);
    }
    const { opts, deduplicationId } = known.json;
    const customId = typeof opts.jobId === 'string' ? opts.jobId : '';
    return {
      kind: known.kind,
      timestamp: opts.timestamp ?? wallMs(),
      options: known.options,
      customId,
      dedupKey: deduplicationId ? `${keys.base}:de:${deduplicationId}` : '',
    };
  }

  private encodeAddOptions(options: JobOptions): { kind: EncodedAdd['kind']; options: string; json: Job } {
    this.checkJobId(options['jobId']);
    try {
      const queue = { toKey: (type: string) => BASE + type, qualifiedName: BASE, backend: this.backend };
      const json = new Job(queue as never, 'options', {}, options as JobsOptions, options['jobId'] as string);
      const data = json.asJSON();
      (json as unknown as { validateOptions(data: unknown): void }).validateOptions(data);
      void this.backend.addJobToTransaction(this.client as never, data, json.id ?? '');
      // BullMQ's rule: a delayed job gets its place by its priority when it is due.
      const kind = json.opts.delay ? 'delayed' : json.opts.priority ? 'prioritized' : 'standard';
      const { args } = this.client.recorded(ADD[kind]);
      return { kind, options: asText(args[2]), json };
    } catch (error) {
      throw new InvalidOptionError(`BullMQ refused the job's options: ${messageOf(error)}.`);
    }
  }

  /** BullMQ would confuse some ids with keys of the queue itself, and respond "duplicate" forever. */
  private checkJobId(id: unknown): void {
    if (id === undefined) return;
    if (typeof id !== 'string' || id === '' || id.includes(':') || id.startsWith('$') || id in this.backend.keys) {
      throw new InvalidOptionError(
        `jobId ${JSON.stringify(id)} can't be used: it must be a non-empty string without ":", not begin with "$", and not be a name that BullMQ uses itself.`,
      );
    }
  }

  /** The options of a fetch. It reads a part of what an end does, so they share one text. */
  encodeTake(worker: WorkerView): string {
    return this.encodeCompleted({}, worker);
  }

  encodeCompleted(options: JobsOptions, worker: WorkerView): string {
    const { removeOnComplete: keep, attempts } = options;
    const key = `${attempts} ${typeof keep === 'object' ? JSON.stringify(keep) : keep}`;
    const known = this.finishOptions.get(worker) ?? new Map<string, string>();
    let text = known.get(key);
    if (!text) {
      Object.assign(this.workerOptions, worker);
      const job = { id: 'id', opts: options };
      const all = this.backend.moveToCompletedArgs(job as never, 'null', keep as boolean, this.lockToken);
      text = asText(this.finishArgument(all, 7));
      // Jobs may have options of their own, in any number.
      if (known.size >= 1000) known.clear();
      this.finishOptions.set(worker, known.set(key, text));
    }
    return text;
  }

  /** @returns options and fields. */
  encodeFailed(fields: FailureFields, options: JobsOptions, worker: WorkerView): [options: string, fields: string] {
    Object.assign(this.workerOptions, worker);
    // A job whose hash was deleted has no options, and BullMQ's body needs this one.
    const job = { id: 'id', opts: { attempts: 1, ...options } };
    const all = this.backend.moveToFailedArgs(
      job as never,
      fields.failedReason,
      options.removeOnFail as boolean,
      this.lockToken,
      false,
      { ...fields },
    );
    return [asText(this.finishArgument(all, 7)), asText(this.finishArgument(all, 8))];
  }

  private finishArgument(all: readonly unknown[], index: number): unknown {
    return all[this.backend.moveToFinishedKeys.length + index];
  }
}

const unpackr = new Unpackr({ useRecords: false });

/** Options that BullMQ has packed, as JSON text: the connection writes text in one piece, and the scripts decode it once a batch. */
function asText(packed: unknown): string {
  return toText(unpackr.unpack(packed as Buffer));
}

/** JSON that the scripts decode, without null values: BullMQ's bodies expect a missing value instead. */
export function toText(value: unknown): string {
  return wellFormedJson(JSON.stringify(value, (_key, value) => (value === null ? undefined : value)));
}

/** Fields of a job as a script body reads them. */
export function encodeFields(fields: FailureFields & Readonly<Record<string, string>>): string {
  return toText(Object.entries(fields).flat());
}
