/**
 * What a person does to one entity, on Redis. Neighbours: `scripts/control.lua.ts` says what each step does;
 * `core/ports.ts` what it means.
 */
import { type EntityRef, entityWord } from '../../core/entity.js';
import { StoreRefusedError } from '../../core/errors.js';
import type { EntityControl, EntityStatus, Unblocking } from '../../core/ports.js';
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

  private call<T>(entity: EntityRef, op: string, how: string, read: (answer: readonly unknown[]) => T): Promise<T> {
    const { base, type, id } = this.keySpace.of(entity);
    return this.channel().call(op, [base, type, id, how], answer => {
      if (answer[0] === 'SHARED') throw sharedQueue(base, entity, answer[1]);
      return read(answer);
    });
  }
}
