/** Dead letters on Redis. Neighbours: `lua/dead-letters.lua` says what each step does; `core/ports/operator.ts` what it means. */

import { encodeSegment, parseEntityKey } from '../../../core/model/entity.js';
import { StoreRefusedError } from '../../../core/model/store-errors.js';
import type { DeadLetter, DeadLetters, QueueLocation } from '../../../core/ports/operator.js';
import { stacksIn } from '../bullmq/failure-fields.js';
import { shownNumber } from '../bullmq/job-fields.js';
import type { StoreContext } from '../context.js';
import { readPages, readPayload, readRows, sharedQueue } from '../decode.js';
import { encode } from '../lua/generated-wire.js';

export class RedisDeadLetters implements DeadLetters {
  constructor(private readonly context: StoreContext) {}

  list(type: string, from: number, limit: number): Promise<DeadLetter[]> {
    const T = encodeSegment(type);
    return readPages(from, limit, (from, limit) =>
      this.context.channel.call('letters', encode.letters({ type: T, from, limit }), ([isCut, ...rows]) => ({
        isCut: isCut === '1',
        rows: readRows(rows, FIELDS, row => this.read(T, row)),
      })),
    );
  }

  ids(type: string, after: string, limit: number): Promise<readonly string[]> {
    const args = encode.letterIds({ type: encodeSegment(type), after: after || '0', limit });
    return this.context.channel.call('letterIds', args, ids => ids.map(String));
  }

  async replay(type: string, letterId: string): Promise<string | undefined> {
    const T = encodeSegment(type);
    const word = await this.context.channel.call('letterOf', encode.letterOf({ type: T, letter: letterId }), ([id]) =>
      String(id),
    );
    if (word === '') return undefined;
    const entity = parseEntityKey(`${T}:${word}`);
    const { base } = this.context.keySpace.of(entity);
    const args = encode.replay({ base, type: T, id: word, letter: letterId });
    return this.context.channel.call('replay', args, ([response, detail]) => {
      if (response === 'SHARED') throw sharedQueue(base, entity, detail);
      if (response === 'REFUSED') {
        throw new StoreRefusedError(`BullMQ refused the job of dead letter ${letterId} of ${type} (code ${detail}).`);
      }
      if (response === 'DAMAGED') {
        throw new StoreRefusedError(
          `Dead letter ${letterId} of ${type} is damaged: its name or its data is missing. It was not replayed; remove it.`,
        );
      }
      return response === '' ? undefined : String(response);
    });
  }

  remove(type: string, letterId: string): Promise<boolean> {
    const args = encode.removeLetter({ type: encodeSegment(type), letter: letterId });
    return this.context.channel.call('removeLetter', args, ([removed]) => removed === 1);
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
