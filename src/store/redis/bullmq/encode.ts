/**
 * The seam to BullMQ: its script bodies, the order of their keys, and the arguments it builds for them.
 *
 * BullMQ is given a client that records instead of executing. What it defines are the bodies; what it runs shows the
 * keys; so nothing of BullMQ is written down here twice, and a release that changes them is followed or refused.
 * Neighbour: `native-job.ts`, which builds BullMQ's `Job` for handlers.
 */
import { EventEmitter } from 'node:events';
import { createRedisBackend, Job, type JobsOptions, type RedisQueueBackend } from 'bullmq';
import { Unpackr } from 'msgpackr';
import { type FailureText, latestStacks } from '../../../core/model/error-text.js';
import { InvalidOptionError, messageOf, UnsupportedError } from '../../../core/model/errors.js';
import type { JobOptions, NewJob } from '../../../core/model/job.js';
import { wellFormedJson } from '../../../core/model/well-formed.js';
import { wallMs } from '../../../core/ports/own-timers.js';
import { MAX_STACKS } from '../../../core/run/retry.js';
import type { EntityKeys } from '../keys.js';
import { type BullBodies, JOB_ID } from '../lua/compose.js';

/** An add as its script reads it. */
export interface EncodedAdd {
  /** `parent`: it waits for its children. */
  readonly kind: 'standard' | 'delayed' | 'prioritized' | 'parent';
  readonly timestamp: number;
  readonly options: string;
  readonly customId: string;
  /** '' for none. */
  readonly dedupKey: string;
}

/** What a failed try writes into its job. */
export interface FailureFields {
  readonly failedReason: string;
  /** Of all tries, as JSON text. */
  readonly stacktrace: string;
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
const QUEUE = { name: 'queue', prefix: 'recorder' };
const BASE = `${QUEUE.prefix}:${QUEUE.name}:`;

/** A worker as BullMQ's bodies see it. */
export interface WorkerView {
  readonly name: string;
  readonly lockDuration: number;
  readonly limiter: { readonly max: number; readonly duration: number } | undefined;
}

/** Answers of a fetch that brought nothing; all that BullMQ wants to see when it is recorded. */
const NOTHING = [0, 0, 0, 0];

/** Stands in for a Redis client, as far as BullMQ looks. */
class RecordingClient extends EventEmitter {
  readonly status = 'ready';
  readonly isCluster = false;
  readonly options = {};
  readonly scripts = new Map<string, { numberOfKeys: number; lua: string }>();
  last: { name: string; keys: string[]; args: unknown[] } | undefined;

  defineCommand(name: string, script: { numberOfKeys: number; lua: string }): void {
    this.scripts.set(withoutVersion(name), script);
  }

  runCommand(name: string, all: unknown[]): unknown {
    const script = withoutVersion(name);
    const numberOfKeys = this.scripts.get(script)?.numberOfKeys ?? 0;
    this.last = { name: script, keys: all.slice(0, numberOfKeys).map(String), args: all.slice(numberOfKeys) };
    return NOTHING;
  }

  /** @throws UnsupportedError when BullMQ ran something else than `name`. */
  recorded(name: string): { keys: string[]; args: unknown[] } {
    if (this.last?.name !== name)
      throw unsupported(`it ran ${this.last?.name ?? 'nothing'} where ${name} was expected`);
    return this.last;
  }

  connect(): void {}
  disconnect(): void {}
  duplicate(): this {
    return this;
  }
  pipeline(): this {
    return this;
  }
  multi(): this {
    return this;
  }
  scanStream(): void {}
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
      // As BullMQ decides: a job for later gets its place among the others by its priority when it is due.
      const kind = json.opts.delay ? 'delayed' : json.opts.priority ? 'prioritized' : 'standard';
      const { args } = this.client.recorded(ADD[kind]);
      return { kind, options: asText(args[2]), json };
    } catch (error) {
      throw new InvalidOptionError(`BullMQ refused the job's options: ${messageOf(error)}.`);
    }
  }

  /** BullMQ would take some ids for keys of the queue itself, and answer "duplicate" for ever. */
  private checkJobId(id: unknown): void {
    if (id === undefined) return;
    if (typeof id !== 'string' || id === '' || id.includes(':') || id.startsWith('$') || id in this.backend.keys) {
      throw new InvalidOptionError(
        `jobId ${JSON.stringify(id)} can't be used: it must be a non-empty string without ":", not begin with "$", and not be a name that BullMQ uses itself.`,
      );
    }
  }

  /** What a fetch or an end needs; the same text serves both, since a fetch reads a part of them. */
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
      // Jobs may have any number of options of their own.
      if (known.size >= 1000) known.clear();
      this.finishOptions.set(worker, known.set(key, text));
    }
    return text;
  }

  /** @returns options and fields. */
  encodeFailed(fields: FailureFields, options: JobsOptions, worker: WorkerView): [options: string, fields: string] {
    Object.assign(this.workerOptions, worker);
    // A job whose hash was deleted has no options; BullMQ's body needs this one.
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

/** What BullMQ packs, as JSON text: the connection writes text in one piece, and the scripts decode it once a batch. */
function asText(packed: unknown): string {
  return toText(unpackr.unpack(packed as Buffer));
}

/** JSON that the scripts decode. BullMQ's bodies take a missing value for none. */
export function toText(value: unknown): string {
  return wellFormedJson(JSON.stringify(value, (_key, value) => (value === null ? undefined : value)));
}

/** Fields of a job as a body reads them. */
export function encodeFields(fields: FailureFields & Readonly<Record<string, string>>): string {
  return toText(Object.entries(fields).flat());
}

/**
 * What a try that failed writes, with the stacks of those before it: as many as `stackTraceLimit`, the latest.
 * @param ends how many jobs end in the same step.
 */
export function failureFields(
  { reason, stack }: FailureText,
  {
    earlier,
    limit = MAX_STACKS,
    ends,
  }: { readonly earlier: string | undefined; readonly limit?: number | undefined; readonly ends: number },
): FailureFields {
  return { failedReason: reason, stacktrace: JSON.stringify(latestStacks(stacksIn(earlier), stack, limit, ends)) };
}

/** What others have written by hand is none. */
export function stacksIn(text: string | undefined): string[] {
  try {
    const stacks: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(stacks) ? stacks.filter(stack => typeof stack === 'string') : [];
  } catch {
    return [];
  }
}

/** Lets BullMQ run each step once and reads off which keys it gives, in which order. */
async function recordKeyNames(client: RecordingClient, backend: RedisQueueBackend): Promise<BullBodies['keyNames']> {
  const id = 'some-job';
  const json = { id, name: 'n', data: '{}', opts: {}, timestamp: 1 };
  const names = (script: string) =>
    client.recorded(script).keys.map(key => {
      if (!key.startsWith(BASE)) throw unsupported(`${script} has a key outside of its queue`);
      const name = key.slice(BASE.length);
      return name === id ? JOB_ID : name;
    });
  await backend.addJobToTransaction(client as never, json as never, id);
  const addStandardJob = names('addStandardJob');
  await backend.addJobToTransaction(client as never, { ...json, opts: { delay: 1 } } as never, id);
  const addDelayedJob = names('addDelayedJob');
  await backend.addJobToTransaction(client as never, { ...json, opts: { priority: 1 } } as never, id);
  const addPrioritizedJob = names('addPrioritizedJob');
  await backend.addJobToTransaction(client as never, json as never, id, { addToWaitingChildren: true });
  const addParentJob = names('addParentJob');
  await backend.moveToActive('token', 'name');
  const moveToActive = names('moveToActive');
  await backend.moveToFinished(id, backend.moveToCompletedArgs({ id, opts: {} } as never, 'null', true, 'token'));
  const completed = names('moveToFinished');
  await backend.moveToFinished(id, backend.moveToFailedArgs({ id, opts: {} } as never, 'why', true, 'token'));
  const failed = names('moveToFinished');
  // Their names alone are of interest: that BullMQ dislikes the recorder's answer is not.
  await backend.retryJob(id, false, 'token');
  const retryJob = names('retryJob');
  await backend.moveToDelayed(id, 1, 1, 'token');
  const moveToDelayed = names('moveToDelayed');
  await backend.pause(true);
  const pause = names('pause');
  await backend.pause(false);
  const resume = names('pause');
  await backend.addJobScheduler('s', 1, '{}', {}, { name: 'n' }, {});
  // Its body looks for what waits in a paused queue where older versions put it.
  const addJobScheduler = names('addJobScheduler').map(name => (name === 'paused' ? 'wait' : name));
  await backend.updateJobSchedulerNextMillis('s', 1, '{}', {}, id);
  const updateJobScheduler = names('updateJobScheduler');
  await backend.removeJobScheduler('s');
  const removeJobScheduler = names('removeJobScheduler');
  return {
    addStandardJob,
    addDelayedJob,
    addPrioritizedJob,
    addParentJob,
    moveToActive,
    completed,
    failed,
    retryJob,
    moveToDelayed,
    pause,
    resume,
    addJobScheduler,
    updateJobScheduler,
    removeJobScheduler,
  };
}

function withoutVersion(command: string): string {
  return command.split(':', 1)[0] ?? command;
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(
    `The installed bullmq is not one that atomic-queues can build on: ${what}. Install bullmq ^6.7.`,
  );
}
