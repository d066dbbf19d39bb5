/**
 * BullMQ's own `Job` for handlers, guarded: a handler's writes to its job go through the claim under which the job was fetched, so
 * writes under a stale claim change nothing (race 18). Calls that would move the job are refused: the worker moves it.
 * Neighbour: `encode.ts` is the rest of the seam to BullMQ.
 */
import { createIORedisClient, createRedisBackend, Job, type RedisQueueBackend, raw2NextJobData } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Claim } from '../../../core/model/claim.js';
import { quoted } from '../../../core/model/error-text.js';
import { UnsupportedError } from '../../../core/model/errors.js';
import type { HandlerPayload } from '../../../core/model/job.js';
import { JobAbandonedError } from '../../../core/model/job-errors.js';
import { encodeProgress } from '../../../core/payload/payload.js';
import type { EntityKeys } from '../keys.js';

/** Runs a handler's write as a guarded step. */
export type Touch = (claim: Claim, body: string, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

/** A job's hash in Redis, and its payload as its handler sees it. */
export interface JobHash {
  readonly id: string;
  /** Names and values by turns. */
  readonly fields: readonly string[];
  readonly payload: HandlerPayload | undefined;
}

/** BullMQ's commands that only read. */
const READS = new Set([
  'getCounts',
  'getCountsPerPriority',
  'getDependencyCounts',
  'getJobs',
  'getJobScheduler',
  'getMetrics',
  'getRanges',
  'getRateLimitTtl',
  'getState',
  'getStateV2',
  'isFinished',
  'isJobInList',
  'isMaxed',
  'paginate',
]);

/** BullMQ's commands that write to the job without moving it, and how many keys each takes. */
const WRITES: Readonly<Record<string, number>> = { updateData: 1, updateProgress: 3, addLog: 2 };

export class NativeJobs {
  private root: RedisQueueBackend | undefined;

  constructor(
    private readonly redis: Redis,
    private readonly touch: Touch,
  ) {}

  build(keys: EntityKeys, claim: Claim, { id, fields, payload }: JobHash): Job {
    const queue = new JobQueue(keys, () => this.guardedBackend(keys, claim, payload));
    const job = fromHash(queue, id, fields);
    if (payload) job.data = payload.data;
    return job;
  }

  private guardedBackend(keys: EntityKeys, claim: Claim, payload: HandlerPayload | undefined): RedisQueueBackend {
    this.root ??= createRedisBackend('$', {
      connection: createIORedisClient(this.redis) as never,
      prefix: keys.prefix,
      skipVersionCheck: true,
      skipWaitingForReady: true,
    } as never);
    const backend = this.root.forQueue(keys.queue, keys.prefix) as RedisQueueBackend;
    const execute = backend.execCommand.bind(backend);
    backend.execCommand = (client, command, all) => {
      if (READS.has(command)) return execute(client, command, all);
      const nKeys = WRITES[command];
      if (nKeys === undefined) throw refused(command);
      const args = all.map(String);
      return this.touch(claim, command, args.slice(0, nKeys), args.slice(nKeys));
    };
    // BullMQ clears logs around its scripts.
    backend.clearLogs = async (jobId, keep = 0) => {
      await this.touch(claim, 'clearLogs', [`${keys.base}:${jobId}:logs`], [String(keep)]);
    };
    if (payload) {
      const updateData = backend.updateData.bind(backend);
      // guards: native-job.guardedBackend
      backend.updateData = async (job, data) => updateData(job, JSON.parse(payload.encode(data)));
    }
    const updateProgress = backend.updateProgress.bind(backend);
    backend.updateProgress = async (jobId, progress) =>
      updateProgress(jobId, JSON.parse(encodeProgress(progress, `The progress of job ${quoted(jobId)}`)));
    // The worker and the heartbeat keep the lock.
    backend.extendLock = async () => 1;
    return backend;
  }
}

/**
 * The parts of a queue that BullMQ's `Job` needs. Most handlers use none of them, so the backend is built at the first call.
 */
class JobQueue {
  readonly name: string;
  readonly qualifiedName: string;
  readonly opts: object;
  readonly closing = undefined;
  readonly backend: RedisQueueBackend;

  constructor(
    private readonly entityKeys: EntityKeys,
    backend: () => RedisQueueBackend,
  ) {
    this.name = entityKeys.queue;
    this.qualifiedName = entityKeys.base;
    this.opts = { connection: {}, prefix: entityKeys.prefix };
    let built: RedisQueueBackend | undefined;
    this.backend = new Proxy({} as RedisQueueBackend, {
      get(_, name) {
        built ??= backend();
        const value: unknown = Reflect.get(built, name);
        return typeof value === 'function' ? value.bind(built) : value;
      },
    });
  }

  get keys() {
    return this.backend.keys;
  }

  toKey(type: string): string {
    return `${this.entityKeys.base}:${type}`;
  }

  emit(): boolean {
    return false;
  }

  on(): this {
    return this;
  }

  removeListener(): this {
    return this;
  }

  async waitUntilReady(): Promise<void> {}

  trace<T>(_kind: unknown, _operation: string, _destination: string, run: () => T): T {
    return run();
  }
}

/** @throws JobAbandonedError if BullMQ can't read the hash. */
function fromHash(queue: JobQueue, id: string, fields: readonly string[]): Job {
  try {
    const [json] = raw2NextJobData([fields, id, 0, 0] as never) as unknown as [never];
    return Job.fromJSON(queue as never, json, id);
  } catch {
    // The message of the error would repeat a part of the hash.
    throw new JobAbandonedError(`BullMQ can't read the hash of job ${id}: a field that must be JSON is not.`);
  }
}

function refused(command: string): UnsupportedError {
  return new UnsupportedError(
    `A handler can't call ${command} on its job: the worker moves it when the handler returns or throws.`,
  );
}
