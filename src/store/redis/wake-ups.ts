/**
 * Which entities somebody must look at, on Redis: what is due, wake-ups, the spawn queue, and the search for what is in no books.
 *
 * Owns: how long a wait for wake-ups lasts, and how much one call asks for. Neighbour: `redis-store.ts` has the connections.
 */
import type { Redis } from 'ioredis';
import { type EntityRef, encodeSegment, parseEntityKey } from '../../core/model/entity.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Discovered, WakeUp } from '../../core/ports/wake-ups.js';
import type { Bull } from './bullmq/encode.js';
import type { Channel } from './connection/channel.js';
import { answerOrDrop } from './connection/connection.js';
import type { Rights } from './connection/rights.js';
import type { KeySpace } from './keys.js';
import { inPages } from './pages.js';

export interface WakeUpsParts {
  readonly keySpace: KeySpace;
  readonly podId: string;
  readonly clock: Clock;
  /** The connection that waits. */
  readonly wakes: Redis;
  readonly rights: Rights;
  ready(): { readonly bull: Bull; readonly channel: Channel };
}

/** Seconds that a wait for wake-ups lasts: what a half-open socket swallows is missed no longer (race 14). */
const WAKE_UP_WAIT_SECONDS = 5;
const WAKE_UPS_AT_ONCE = 256;
/** Of each type: other pods may have room too. */
const SPAWNS_AT_ONCE = 16;
const BACKLOGS_PER_CALL = 256;
const LEFTOVERS_AT_ONCE = 100;
/** Keys that one step of a search looks at; while it does, Redis does nothing else. */
const KEYS_PER_STEP = 500;

export class RedisWakeUps {
  constructor(private readonly parts: WakeUpsParts) {}

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return this.channel.call('due', [encodeSegment(type), from, limit], ids =>
      ids.map(id => parseEntityKey(`${encodeSegment(type)}:${id}`)),
    );
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    const { wakes, rights, keySpace, podId, clock } = this.parts;
    if (wakes.status !== 'ready') throw new StoreUnavailableError('Not connected to Redis.');
    const own = keySpace.wakeUps(podId);
    const keys = [own, ...types.map(type => keySpace.spawnMarker(type))];
    const waiting = rights.heed('BZPOPMIN', wakes.bzpopmin(...keys, WAKE_UP_WAIT_SECONDS));
    const first = await answerOrDrop(wakes, waiting, 2000 * WAKE_UP_WAIT_SECONDS, clock);
    // A request whose marker went to a connection that is dead is found when the wait is over.
    if (first?.[0] !== own) return this.spawned(types);
    const popping = rights.heed('ZPOPMIN', wakes.zpopmin(own, WAKE_UPS_AT_ONCE));
    const more = await answerOrDrop(wakes, popping, 2000 * WAKE_UP_WAIT_SECONDS, clock);
    return [first[1], ...more.filter((_, index) => index % 2 === 0)].map(readWakeUp);
  }

  /** Requests of the spawn queues, taken and done: what becomes of them is the look's business. */
  private async spawned(types: readonly string[]): Promise<EntityRef[]> {
    if (types.length === 0) return [];
    const worker = { name: this.parts.podId, lockDuration: 1000, limiter: undefined };
    const options = this.parts.ready().bull.encodeCompleted({ removeOnComplete: true }, worker);
    const args = [SPAWNS_AT_ONCE, options, ...types.map(encodeSegment)];
    const words = await this.channel.call('spawned', args, answer => answer.map(String));
    return words.flatMap((type, index) => (index % 2 === 0 ? [parseEntityKey(`${type}:${words[index + 1]}`)] : []));
  }

  async requestWorker(entity: EntityRef): Promise<void> {
    const { type, id } = this.parts.keySpace.of(entity);
    await this.channel.call('requestWorker', [type, id], () => undefined);
  }

  async backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    const { keySpace } = this.parts;
    const bases = entities.map(entity => keySpace.of(entity).base);
    return inPages(bases, BACKLOGS_PER_CALL, page => this.channel.call('backlogs', page, answer => answer.map(Number)));
  }

  async leftovers(types: readonly string[]): Promise<boolean> {
    const { keySpace } = this.parts;
    const [isMore, ...words] = await this.channel.call(
      'leftovers',
      [LEFTOVERS_AT_ONCE, ...types.map(encodeSegment)],
      answer => answer.map(String),
    );
    for (let at = 0; at < words.length; at += 2) {
      const { base, type, id } = keySpace.of(parseEntityKey(`${words[at]}:${words[at + 1]}`));
      // each page keeps the other pods away from it for a while
      while (await this.channel.call('clear', [base, type, id], ([more]) => more === '1'));
    }
    return isMore === '1';
  }

  discover(types: readonly string[], intervalMs: number, from = ''): Promise<Discovered> {
    const args = [from, intervalMs, KEYS_PER_STEP, this.parts.keySpace.allMeta, ...types.map(encodeSegment)];
    return this.channel.call('discover', args, ([next, found]) => ({
      ...(next !== '' && { next: String(next) }),
      found: Number(found),
    }));
  }

  private get channel(): Channel {
    return this.parts.ready().channel;
  }
}

/** No encoded name begins with `$`. */
function readWakeUp(word: string): WakeUp {
  return word.startsWith('$') ? { ...parseEntityKey(word.slice(1)), isRecall: true } : parseEntityKey(word);
}
