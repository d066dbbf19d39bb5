/**
 * Which entities a pod must inspect, on Redis: the inspection schedule, wake-ups, the spawn queue, and the search for unscheduled
 * entities.
 *
 * Owns: how long a wait for wake-ups lasts, and how much one call asks for. Neighbours: `redis-store.ts` has the connections;
 * `claims.ts` is what comes of an inspection.
 */
import type { Redis } from 'ioredis';
import { type EntityRef, encodeSegment, parseEntityKey } from '../../core/model/entity.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import type { Discovered, WakeUp, WakeUps } from '../../core/ports/wake-ups.js';
import { WAKE_UP_WAIT_SECONDS } from '../protocol-constants.js';
import { responseOrDrop } from './connection/connection.js';
import type { Rights } from './connection/rights.js';
import type { StoreContext } from './context.js';
import { encode } from './lua/generated-wire.js';
import { inPages } from './pages.js';

export interface WakeUpsParts {
  /** The connection on which this pod waits. */
  readonly wakes: Redis;
  readonly rights: Rights;
}

const WAKE_UPS_AT_ONCE = 256;
/** Requests of each type that one call takes: other pods may have capacity too. */
const SPAWNS_AT_ONCE = 16;
const BACKLOGS_PER_CALL = 256;
const LEFTOVERS_AT_ONCE = 100;
/** Keys that one step of a search looks at; while it does, Redis does nothing else. */
const KEYS_PER_STEP = 500;

export class RedisWakeUps implements WakeUps {
  constructor(
    private readonly context: StoreContext,
    private readonly parts: WakeUpsParts,
  ) {}

  due(type: string, from: number, limit: number): Promise<EntityRef[]> {
    return this.context.channel.call('due', encode.due({ type: encodeSegment(type), from, limit }), ids =>
      ids.map(id => parseEntityKey(`${encodeSegment(type)}:${id}`)),
    );
  }

  async wakeUps(types: readonly string[]): Promise<WakeUp[]> {
    const { wakes, rights } = this.parts;
    const { keySpace, podId, clock } = this.context;
    if (wakes.status !== 'ready') throw new StoreUnavailableError('Not connected to Redis.');
    const own = keySpace.wakeUps(podId);
    const keys = [own, ...types.map(type => keySpace.spawnMarker(type))];
    const waiting = rights.heed('BZPOPMIN', wakes.bzpopmin(...keys, WAKE_UP_WAIT_SECONDS));
    const first = await responseOrDrop(wakes, waiting, 2000 * WAKE_UP_WAIT_SECONDS, clock);
    // If the marker of a request went to a dead connection, the request is found when the wait ends.
    if (first?.[0] !== own) return this.spawned(types);
    const popping = rights.heed('ZPOPMIN', wakes.zpopmin(own, WAKE_UPS_AT_ONCE));
    const more = await responseOrDrop(wakes, popping, 2000 * WAKE_UP_WAIT_SECONDS, clock);
    return [first[1], ...more.filter((_, index) => index % 2 === 0)].map(readWakeUp);
  }

  /** Takes requests from the spawn queues and ends their jobs at once: the claim attempt decides what comes of them. */
  private async spawned(types: readonly string[]): Promise<EntityRef[]> {
    if (types.length === 0) return [];
    const worker = { name: this.context.podId, lockDuration: 1000, limiter: undefined };
    const options = this.context.bull.encodeCompleted({ removeOnComplete: true }, worker);
    const args = encode.spawned({ limit: SPAWNS_AT_ONCE, takeOpts: options }, types.map(encodeSegment));
    const words = await this.context.channel.call('spawned', args, response => response.map(String));
    return words.flatMap((type, index) => (index % 2 === 0 ? [parseEntityKey(`${type}:${words[index + 1]}`)] : []));
  }

  async requestWorker(entity: EntityRef): Promise<void> {
    const { type, id } = this.context.keySpace.of(entity);
    await this.context.channel.call('requestWorker', encode.requestWorker({ type, id }), () => undefined);
  }

  async backlogs(entities: readonly EntityRef[]): Promise<number[]> {
    const { keySpace } = this.context;
    const bases = entities.map(entity => keySpace.of(entity).base);
    return inPages(bases, BACKLOGS_PER_CALL, page =>
      this.context.channel.call('backlogs', encode.backlogs(page), response => response.map(Number)),
    );
  }

  async leftovers(types: readonly string[]): Promise<boolean> {
    const { keySpace } = this.context;
    const [isMore, ...words] = await this.context.channel.call(
      'leftovers',
      encode.leftovers({ limit: LEFTOVERS_AT_ONCE }, types.map(encodeSegment)),
      response => response.map(String),
    );
    for (let at = 0; at < words.length; at += 2) {
      const { base, type, id } = keySpace.of(parseEntityKey(`${words[at]}:${words[at + 1]}`));
      // Each page keeps the other pods away from the entity for a while.
      // guards: wake-ups.leftovers
      while (await this.context.channel.call('clear', encode.clear({ base, type, id }), ([more]) => more === '1'));
    }
    return isMore === '1';
  }

  discover(types: readonly string[], intervalMs: number, from = ''): Promise<Discovered> {
    const call = { cursor: from, intervalMs, count: KEYS_PER_STEP, match: this.context.keySpace.allMeta };
    const args = encode.discover(call, types.map(encodeSegment));
    return this.context.channel.call('discover', args, ([next, found]) => ({
      ...(next !== '' && { next: String(next) }),
      found: Number(found),
    }));
  }
}

/** No encoded name begins with `$`. */
function readWakeUp(word: string): WakeUp {
  return word.startsWith('$') ? { ...parseEntityKey(word.slice(1)), isRecall: true } : parseEntityKey(word);
}
