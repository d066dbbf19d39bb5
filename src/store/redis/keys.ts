/**
 * The base keys in Redis: of a queue, and of the system. All keys of an entity begin with the base key of its queue. The system's own keys begin with
 * `{prefix}:$:`, which neither an encoded name nor an accepted queue name can produce.
 * Neighbour: the scripts in `lua/` make every other key from these.
 */
import { type EntityRef, encodeSegment } from '../../core/model/entity.js';
import type { EngineConfig } from '../../core/options/config.js';

/** The names by which the scripts and BullMQ find an entity. */
export interface EntityKeys {
  /** Base key of the queue, without a colon at its end. */
  readonly base: string;
  /** BullMQ's name of the queue, and the prefix it needs to find it. */
  readonly queue: string;
  readonly prefix: string;
  /** Encoded type and id. */
  readonly type: string;
  readonly id: string;
}

/**
 * The KEYS of every script of ours, and before them their number: some services refuse a script without keys. No script writes them,
 * and neither needs to exist.
 */
export function scriptKeys(system: string): readonly [count: string, shard: string, none: string] {
  return ['2', `${system}shard`, `${system}none`];
}

export class KeySpace {
  readonly system: string;

  constructor(
    private readonly prefix: string,
    private readonly config: EngineConfig,
  ) {
    this.system = `${prefix}:$:`;
  }

  of(entity: EntityRef): EntityKeys {
    const type = encodeSegment(entity.type);
    const id = encodeSegment(entity.id);
    const named = this.config.entityType(entity.type).queueName?.(id);
    return named === undefined
      ? { base: `${this.prefix}:${type}:${id}:queue`, queue: 'queue', prefix: `${this.prefix}:${type}:${id}`, type, id }
      : { base: `${this.prefix}:${named}`, queue: named, prefix: this.prefix, type, id };
  }

  /** The key that BullMQ writes when a job is added to the spawn queue of a type. */
  spawnMarker(type: string): string {
    return `${this.system}spawn:${encodeSegment(type)}:marker`;
  }

  /** The queue in which BullMQ finds the dead letters of a type. */
  deadLetters(type: string): { name: string; prefix: string } {
    return { name: encodeSegment(type), prefix: `${this.system}dead` };
  }

  /** A pattern that matches one key of every queue with jobs. */
  get allMeta(): string {
    return `${this.prefix.replace(/[*?[\]\\]/g, '\\$&')}:*:meta`;
  }

  /** The mailbox of a pod. */
  mailbox(podId: string): string {
    return `${this.system}pod:${podId}:answers`;
  }

  wakeUps(podId: string): string {
    return `${this.system}pod:${podId}:wake`;
  }
}
