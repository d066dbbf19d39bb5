/** Dead letters on Redis. Neighbours: `lua/dead-letters.lua` says what each step does; `core/ports/operator.ts` what it means. */

import { encodeSegment, parseEntityKey } from '../../../core/model/entity.js';
import { StoreRefusedError } from '../../../core/model/store-errors.js';
import type { DeadLetter, DeadLetters, QueueLocation } from '../../../core/ports/operator.js';
import { stacksIn } from '../bullmq/failure-fields.js';
import { shownNumber } from '../bullmq/job-fields.js';
import type { StoreContext } from '../context.js';
import { readPages, readPayload, readRows, sharedQueue } from '../decode.js';

export class RedisDeadLetters implements DeadLetters {
  constructor(private readonly context: StoreContext) {}

  list(type: string, from: number, limit: number): Promise<DeadLetter[]> {
    const T = encodeSegment(type);
    return readPages(from, limit, (from, limit) =>
      this.context.channel.call('letters', [T, from, limit], ([isCut, ...rows]) => ({
        isCut: isCut === '1',
        rows: readRows(rows, FIELDS, row => this.read(T, row)),
      })),
    );
  }

  ids(type: string, after: string, limit: number): Promise<readonly string[]> {
    return this.context.channel.call('letterIds', [encodeSegment(type), after || '0', limit], ids => ids.map(String));
  }

  async replay(type: string, letterId: string): Promise<string | undefined> {
    const T = encodeSegment(type);
    const word = await this.context.channel.call('letterOf', [T, letterId], ([id]) => String(id));
    if (word === '') return undefined;
    const entity = parseEntityKey(`${T}:${word}`);
    const { base } = this.context.keySpace.of(entity);
    return this.context.channel.call('replay', [base, T, word, letterId], ([answer, detail]) => {
      if (answer === 'SHARED') throw sharedQueue(base, entity, detail);
      if (answer === 'REFUSED') {
        throw new StoreRefusedError(`BullMQ refused the job of dead letter ${letterId} of ${type} (code ${detail}).`);
      }
      if (answer === 'DAMAGED') {
        throw new StoreRefusedError(
          `Dead letter ${letterId} of ${type} is damaged: its name or its data is missing. It was not replayed; remove it.`,
        );
      }
      return answer === '' ? undefined : String(answer);
    });
  }

  remove(type: string, letterId: string): Promise<boolean> {
    return this.context.channel.call('removeLetter', [encodeSegment(type), letterId], ([removed]) => removed === 1);
  }

  locate(type: string): QueueLocation {
    return this.context.keySpace.deadLetters(type);
  }

  /** Reads `letter, entity, jobId, name, data, timestamp, finishedOn, tries, reason, stacks, envelope`. */
  private read(type: string, fields: readonly string[]): DeadLetter {
    const [
      letterId = '',
      id = '',
      jobId = '',
      name = '',
      data = '',
      enqueuedAt,
      diedAt,
      tries,
      failedReason = '',
      stacks,
      envelope = '',
    ] = fields;
    return {
      letterId,
      entityId: parseEntityKey(`${type}:${id}`).id,
      jobId,
      name,
      data: readPayload(this.context.config.codecs, data, envelope),
      enqueuedAtMs: shownNumber(enqueuedAt),
      diedAtMs: shownNumber(diedAt),
      attemptsMade: shownNumber(tries),
      failedReason,
      stacks: stacksIn(stacks),
    };
  }
}

const FIELDS = 11;
