/**
 * What a person does to one entity, on Redis. Neighbours: `scripts/control.lua.ts` says what each step does;
 * `core/ports.ts` what it means.
 */
import { type EntityRef, entityWord } from '../../core/entity.js';
import { StoreRefusedError } from '../../core/errors.js';
import type { EntityControl, EntityStatus, JobState, JobView, QueueLocation, Unblocking } from '../../core/ports.js';
import type { Channel } from './channel.js';
import type { KeySpace } from './keys.js';
import { sharedQueue } from './replies.js';

export class RedisControl implements EntityControl {
  constructor(
    private readonly channel: () => Channel,
    private readonly keySpace: KeySpace,
  ) {}

  async pause(entity: EntityRef, isPaused: boolean): Promise<void> {
    const how = isPaused ? 'paused' : 'resumed';
    // What a pause of an older BullMQ has put aside comes back in pieces.
    while ((await this.call(entity, 'pause', how, ([left]) => Number(left))) > 0);
  }

  unblock(entity: EntityRef, how: Unblocking): Promise<boolean> {
    return this.call(entity, 'unblock', how, ([was, code]) => {
      if (was === 'REFUSED')
        throw new StoreRefusedError(
          `BullMQ would not remove the job that blocks ${entityWord(entity)} (code ${code}); it may belong to a job scheduler.`,
        );
      return was === '1';
    });
  }

  status(entity: EntityRef): Promise<EntityStatus> {
    const { base } = this.keySpace.of(entity);
    return this.channel().call('status', [base], ([waiting, active, delayed, failed, paused, jobId, reason]) => ({
      waiting: Number(waiting),
      active: Number(active),
      delayed: Number(delayed),
      failed: Number(failed),
      isPaused: paused === '1',
      ...(jobId !== '' && { blockedBy: { jobId: String(jobId), reason: String(reason) } }),
    }));
  }

  drop(entity: EntityRef): Promise<void> {
    return this.call(entity, 'drop', undefined, () => undefined);
  }

  list(entity: EntityRef, state: JobState, from: number, limit: number): Promise<JobView[]> {
    const { base } = this.keySpace.of(entity);
    return this.channel().call('list', [base, state, from, limit], fields => {
      const views: JobView[] = [];
      for (let at = 0; at < fields.length; at += FIELDS)
        views.push(readView(fields.slice(at, at + FIELDS).map(String)));
      return views;
    });
  }

  locate(entity: EntityRef): QueueLocation {
    const { queue, prefix } = this.keySpace.of(entity);
    return { name: queue, prefix };
  }

  private call<T>(
    entity: EntityRef,
    op: string,
    how: string | undefined,
    read: (answer: readonly unknown[]) => T,
  ): Promise<T> {
    const { base, type, id } = this.keySpace.of(entity);
    const args = how === undefined ? [base, type, id] : [base, type, id, how];
    return this.channel().call(op, args, answer => {
      if (answer[0] === 'SHARED') throw sharedQueue(base, entity, answer[1]);
      return read(answer);
    });
  }
}

const FIELDS = 6;

/** Reads `id, name, data, timestamp, tries, why the last one failed`. */
function readView([jobId = '', name = '', json = '', timestamp, tries, failedReason]: readonly string[]): JobView {
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch {
    // Somebody has written it by hand, or deleted it: it is shown as it is.
    data = json;
  }
  return {
    jobId,
    name,
    data,
    enqueuedAtMs: Number(timestamp),
    attemptsMade: Number(tries),
    ...(failedReason !== '' && { failedReason: String(failedReason) }),
  };
}
