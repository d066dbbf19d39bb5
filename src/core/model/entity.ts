/**
 * The identity of an entity and its one spelling in Redis.
 *
 * Owns: the check of types and ids, and the injective codec between them and key segments.
 * Neighbours: `store/redis/keys.ts` builds keys of the segments; no other file spells an id.
 */
import { InvalidEntityError } from './errors.js';

/** An entity: a type (`account`) and an id within it (`42`). The id is always a string here. */
export interface EntityRef {
  readonly type: string;
  readonly id: string;
}

/** Id of an entity, as a caller passes it. `42`, `42n` and `'42'` name the same entity. */
export type EntityId = string | number | bigint;

/** Longest id and type, in UTF-16 code units. Redis keys may be longer; readable ones are not. */
export const MAX_ENTITY_ID_LENGTH = 256;
/** Longest name of a job, in UTF-16 code units. */
export const MAX_JOB_NAME_LENGTH = 256;
/** Longest id of a job, of a schedule, or of a deduplication, in UTF-16 code units. */
export const MAX_ID_LENGTH = 1024;

/** Unsafe in a key segment: the separators of BullMQ and of our keys, a Cluster's hash tag, control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const UNSAFE = /[%:{}$\s\u0000-\u001f\u007f]|\p{Surrogate}/gu;

/** Matches most names, four times as fast. */
const SAFE = /^[\w.@-]*$/;

/**
 * Writes a name as a key segment. Injective: `%` is escaped too, and a lone surrogate (which UTF-8 would turn into
 * U+FFFD, the same for all of them) gets an escape of its own.
 */
export function encodeSegment(name: string): string {
  if (SAFE.test(name)) return name;
  return name.replace(UNSAFE, char => {
    const unit = char.charCodeAt(0);
    return unit < 0x100 ? `%${hex(unit, 2)}` : `%u${hex(unit, 4)}`;
  });
}

/** The inverse of {@link encodeSegment}. */
export function decodeSegment(segment: string): string {
  return segment.replace(/%(?:u([0-9A-F]{4})|([0-9A-F]{2}))/g, (_, wide?: string, narrow?: string) =>
    String.fromCharCode(Number.parseInt(wide ?? narrow ?? '', 16)),
  );
}

/** The entity as one word, unique among all entities; the key of every map of entities in memory. */
export function entityKey(entity: EntityRef): string {
  return `${encodeSegment(entity.type)}:${encodeSegment(entity.id)}`;
}

/** The inverse of {@link entityKey}. */
export function parseEntityKey(word: string): EntityRef {
  const colon = word.indexOf(':');
  return { type: decodeSegment(word.slice(0, colon)), id: decodeSegment(word.slice(colon + 1)) };
}

/**
 * Checks a type and an id from a caller.
 * @throws InvalidEntityError when either is missing, empty, of a wrong kind, or too long.
 */
export function entityRef(type: unknown, id: unknown, culprit = 'The job'): EntityRef {
  if (typeof type !== 'string' || type === '') {
    throw new InvalidEntityError(`${culprit} has no entity type. Nothing was sent. Pass a non-empty string.`);
  }
  if (type.length > MAX_ENTITY_ID_LENGTH) {
    throw new InvalidEntityError(
      `${culprit} has an entity type of ${type.length} characters; at most 256 are allowed. Nothing was sent.`,
    );
  }
  if (!type.isWellFormed()) throw halfACharacter(culprit, 'an entity type');
  return { type, id: entityId(id, type, culprit) };
}

function halfACharacter(culprit: string, what: string): InvalidEntityError {
  return new InvalidEntityError(
    `${culprit} has ${what} with half a surrogate pair, as in a text that was cut within an emoji. Redis cannot distinguish such names. Nothing was sent.`,
  );
}

function entityId(id: unknown, type: string, culprit: string): string {
  const valid = typeof id === 'string' || typeof id === 'bigint' || (typeof id === 'number' && Number.isFinite(id));
  if (!valid) {
    const kind = id === null ? 'null' : typeof id === 'number' ? String(id) : typeof id;
    throw new InvalidEntityError(
      `${culprit} has an id of kind ${kind} for entity type "${type}". Nothing was sent. Pass a string, a finite number or a bigint.`,
    );
  }
  const text = String(id);
  if (text === '') {
    throw new InvalidEntityError(
      `${culprit} has an empty id for entity type "${type}". Nothing was sent. Pass a non-empty id.`,
    );
  }
  // guards: entity.entityId
  if (!text.isWellFormed()) throw halfACharacter(culprit, `an id of entity type "${type}"`);
  if (text.length > MAX_ENTITY_ID_LENGTH) {
    throw new InvalidEntityError(
      `${culprit} has an id of ${text.length} characters for entity type "${type}"; at most ${MAX_ENTITY_ID_LENGTH} are allowed. Nothing was sent.`,
    );
  }
  return text;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
