/**
 * What the operator does to one entity, on Redis. Neighbours: `lua/control.lua` says what each step does;
 * `core/ports/operator.ts` what it means.
 */
import { presentRun } from '../../../core/enqueue/schedule-checks.js';
import { type EntityRef, encodeSegment, entityKey, parseEntityKey } from '../../../core/model/entity.js';
import { StoreRefusedError } from '../../../core/model/store-errors.js';
import type { Codecs } from '../../../core/payload/codec.js';
import type {
  EntityControl,
  EntityStatus,
  JobState,
  JobView,
  QueueLocation,
  RunningJob,
  Unblocking,
} from '../../../core/ports/operator.js';
import { shownNumber } from '../bullmq/job-fields.js';
import type { Argument } from '../connection/batch.js';
import type { StoreContext } from '../context.js';
import { readPages, readPayload, readRows, sharedQueue } from '../decode.js';
import { encode } from '../lua/generated-wire.js';

export class RedisControl implements EntityControl {
  constructor(private readonly context: StoreContext) {}

  async pause(entity: EntityRef, isPaused: boolean): Promise<void> {
    const change = isPaused ? 'paused' : 'resumed';
    const args = encode.pause({ ...this.context.keySpace.of(entity), change });
    // A resume moves jobs that a pause by an older BullMQ has set aside, page by page.
    while ((await this.call(entity, 'pause', args, ([left]) => Number(left))) > 0);
  }

  unblock(entity: EntityRef, how: Unblocking, jobId = ''): Promise<boolean> {
    const args = encode.unblock({ ...this.context.keySpace.of(entity), how, jobId });
    return this.call(entity, 'unblock', args, ([was, code]) => {
      if (was === 'REFUSED')
        throw Number(code) === OF_A_SCHEDULE
          ? presentRun(entity)
          : new StoreRefusedError(
              `BullMQ refused to remove the job that blocks ${entityKey(entity)} (code ${code}); nothing was changed.`,
            );
      return was === '1';
    });
  }

  status(entity: EntityRef): Promise<EntityStatus> {
    const { base, type } = this.context.keySpace.of(entity);
    return this.context.channel.call(
      'status',
      encode.status({ base, type }),
      ([waiting, active, delayed, failed, parents, paused, jobId, reason, ...runs]) => ({
        waiting: Number(waiting),
        active: Number(active),
        delayed: Number(delayed),
        failed: Number(failed),
        waitingForChildren: Number(parents),
        isPaused: paused === '1',
        ...(jobId !== '' && { blockedBy: { jobId: String(jobId), reason: String(reason) } }),
        ...(runs.length > 0 && { running: readRows(runs, 3, readRunning) }),
      }),
    );
  }

  async pauseType(type: string, isPaused: boolean): Promise<void> {
    const T = encodeSegment(type);
    const change = isPaused ? 'paused' : 'resumed';
    await this.context.channel.call('pauseType', encode.pauseType({ type: T, change }), () => undefined);
    for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
      const args = encode.entitiesOf({ type: T, cursor, count: PAGE });
      const page: string[] = await this.context.channel.call('entitiesOf', args, found => found.map(String));
      const [next, ...ids] = page;
      const queues = ids.map(id => this.context.keySpace.of(parseEntityKey(`${T}:${id}`)));
      if (ids.length > 0)
        await this.context.channel.call('tellOfType', encode.tellOfType({ type: T }, queues), () => undefined);
      cursor = next === '0' ? undefined : next;
    }
  }

  async drop(entity: EntityRef): Promise<void> {
    const keys = this.context.keySpace.of(entity);
    const isMore = ([more]: readonly unknown[]) => more === '1';
    for (let left = await this.call(entity, 'drop', encode.drop(keys), isMore); left; )
      left = await this.call(entity, 'clear', encode.clear(keys), isMore);
  }

  isDropping(entity: EntityRef): Promise<boolean> {
    const args = encode.isDropping(this.context.keySpace.of(entity));
    return this.call(entity, 'isDropping', args, ([response]) => response === '1');
  }

  list(entity: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]> {
    const { base } = this.context.keySpace.of(entity);
    return readPages(from, limit, (from, limit) =>
      this.context.channel.call('list', encode.list({ base, state, from, limit }), ([isCut, ...rows]) => ({
        isCut: isCut === '1',
        rows: readRows(rows, FIELDS, row => readView(this.context.config.codecs, row)),
      })),
    );
  }

  locate(entity: EntityRef): QueueLocation {
    const { queue, prefix } = this.context.keySpace.of(entity);
    return { name: queue, prefix };
  }

  private call<T>(
    entity: EntityRef,
    op: string,
    args: readonly Argument[],
    read: (response: readonly unknown[]) => T,
  ): Promise<T> {
    return this.context.channel.call(op, args, response => {
      if (response[0] === 'SHARED') throw sharedQueue(this.context.keySpace.of(entity).base, entity, response[1]);
      return read(response);
    });
  }
}

const FIELDS = 7;

/** BullMQ's code for a job that it does not remove since a job scheduler needs it. */
const OF_A_SCHEDULE = -8;

/** Entities whose owners are told in one step. */
const PAGE = 500;

/** Reads `id, name, since when`. */
function readRunning([jobId = '', name = '', startedAtMs]: readonly string[]): RunningJob {
  return { jobId, name, startedAtMs: shownNumber(startedAtMs) };
}

/** Reads `id, name, data, timestamp, tries, why the last one failed, envelope`. */
function readView(codecs: Codecs, row: readonly string[]): JobView {
  const [jobId = '', name = '', json = '', timestamp, tries, failedReason, envelope = ''] = row;
  return {
    jobId,
    name,
    data: readPayload(codecs, json, envelope),
    enqueuedAtMs: shownNumber(timestamp),
    attemptsMade: shownNumber(tries),
    ...(failedReason !== '' && { failedReason: String(failedReason) }),
  };
}
