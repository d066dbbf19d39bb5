/**
 * The one rule for what JSON carries of a value: of payloads, of results, of progress, and of what a codec gives.
 *
 * Owns: the verdict on each kind of value, the path to what is refused, and the bounds of the walk. `docs/payloads.md` has the table.
 * A value is walked once, and `JSON.stringify` then writes it, with what each `toJSON` gave in its place: that is faster than a
 * replacer. Kinds are told by brand and structure, since a value may come from another realm (`vm`, Jest).
 * Neighbours: `payload.ts` writes payloads, `open-payload.ts` writes results.
 */
import { MAX_VALUES } from '../model/bounds.js';
import { isInstance, kindOfThrown, quoted, shorten, tagOf } from '../model/error-text.js';
import { UnserializableDataError } from '../model/payload-errors.js';
import { ignoreRejections } from './ignored-rejections.js';
import { BOXES, ELSEWHERE, instanceWord, isEmptied, isObservable, isPlain, noItem, REMEDIES } from './value-kinds.js';

/** Levels of arrays and objects. An empty stack has room for 1,900 levels of the walk, and for 4,100 of `JSON.stringify`. */
export const MAX_DEPTH = 500;

/** Longest path in a message. */
const MAX_PATH_LENGTH = 256;

/** `'onlyJson'` is for what a codec gives: a date in it is refused, since its text would not become a date again. */
export type JsonRule = 'anyValue' | 'onlyJson';

/**
 * A value as JSON text. Properties that are `undefined` are left out.
 * @throws UnserializableDataError for what JSON would lose or change, for what throws when it is read, and beyond the bounds. Its
 * message is a clause that names the path, the kind and a short remedy, and nothing of the value. Promises in it are handled then.
 */
export function jsonText(value: unknown, rule: JsonRule = 'anyValue'): string {
  try {
    const carried = new Walk(rule).carried(value, '', 0);
    if (carried === undefined) throw new Refusal(() => 'is undefined, or has a toJSON that gives undefined');
    return JSON.stringify(carried);
  } catch (error) {
    const refusal = refusalOf(error);
    // guards: json-values.jsonText
    ignoreRejections([value, refusal.holders]);
    throw new UnserializableDataError(refusal.clause);
  }
}

type Key = string | number;

/** On its way up from the value that is refused it collects the path. */
class Refusal extends Error {
  /** From the value upwards: the property, and what holds it. */
  private readonly steps: { readonly key: Key; readonly holder: object }[] = [];

  /** @param what in words; asked for when the stack is free again: V8 ends the process if it has no room to compile a pattern. */
  constructor(private readonly what: () => string) {
    super();
  }

  at(key: Key, holder: object): this {
    this.steps.push({ key, holder });
    return this;
  }

  /** What it was found in, which a toJSON or a getter may have made. */
  get holders(): readonly object[] {
    return this.steps.map(({ holder }) => holder);
  }

  get clause(): string {
    const keys: Key[] = [];
    const holders = new Set<object>();
    for (const { key, holder } of this.steps.toReversed()) {
      if (holders.has(holder)) return `${pathOf(keys)} refers to itself (a cycle)`;
      holders.add(holder);
      keys.push(key);
    }
    return `${pathOf(keys)} ${this.what()}`;
  }
}

/** @param error thrown by the walk, or by a getter, a proxy or a toJSON, whose words may repeat what they hold. */
function refusalOf(error: unknown): Refusal {
  if (isInstance(error, Refusal)) return error;
  // guards: json-values.refusalOf
  return new Refusal(() => `can't be read: that throws (${kindOfThrown(error)})`);
}

function pathOf(keys: readonly Key[]): string {
  if (keys.length === 0) return 'it';
  const path = keys.map(key => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[a-z_$][\w$]{0,63}$/i.test(key) ? `.${key}` : `[${quoted(key)}]`;
  });
  return shorten(path.join('').replace(/^\./, ''), MAX_PATH_LENGTH);
}

class Walk {
  private left = MAX_VALUES;

  constructor(private readonly rule: JsonRule) {}

  /** What `JSON.stringify` is to write for a value: itself, or a copy where a toJSON within it gave something else. */
  carried(value: unknown, key: Key, depth: number): unknown {
    // guards: json-values.carried
    this.left -= 1;
    if (this.left < 0) throw new Refusal(() => `is beyond the ${MAX_VALUES} values that may be stored together`);
    switch (typeof value) {
      case 'object':
        return value === null ? null : this.object(value, key, depth);
      case 'number':
        if (Number.isFinite(value)) return value;
        throw new Refusal(() => `is ${value}`);
      case 'string':
      case 'boolean':
      case 'undefined':
        return value;
      default:
        throw new Refusal(() => `is a ${typeof value}`);
    }
  }

  private object(value: object, key: Key, depth: number): unknown {
    // guards: json-values.object
    if (depth >= MAX_DEPTH) throw new Refusal(() => `is nested in more than ${MAX_DEPTH} levels`);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') {
      if (this.rule === 'onlyJson') throw new Refusal(() => `is ${instanceWord(value)}`);
      const given: unknown = toJSON.call(value, String(key));
      if (given === null && tagOf(value) === 'Date') throw new Refusal(() => 'is an invalid Date');
      // JSON asks once: what gives itself is its properties.
      if (given !== value) return this.carried(given, key, depth + 1);
    }
    if (Array.isArray(value)) return this.items(value, depth);
    const primitive = isPlain(value) ? undefined : this.instance(value);
    return primitive === undefined ? this.properties(value as Record<string, unknown>, depth) : primitive;
  }

  private items(array: readonly unknown[], depth: number): readonly unknown[] {
    let copy: unknown[] | undefined;
    let at = 0;
    try {
      for (; at < array.length; at++) {
        const item = array[at];
        const carried = this.carried(item, at, depth + 1);
        // guards: json-values.items
        if (carried === undefined) throw new Refusal(() => noItem(depth));
        if (carried !== item) {
          copy ??= Array.from({ length: array.length }, (_, index) => array[index]);
          copy[at] = carried;
        }
      }
    } catch (error) {
      throw refusalOf(error).at(at, array);
    }
    return copy ?? array;
  }

  private properties(holder: Record<string, unknown>, depth: number): object {
    let copy: Record<string, unknown> | undefined;
    for (const key of Object.keys(holder)) {
      try {
        const property = holder[key];
        if (property === undefined) continue;
        const carried = this.carried(property, key, depth + 1);
        if (carried !== property) {
          copy ??= { ...holder };
          // guards: json-values.properties
          copy[key] = carried;
        }
      } catch (error) {
        throw refusalOf(error).at(key, holder);
      }
    }
    return copy ?? holder;
  }

  /**
   * Nothing for an instance that is its properties; of a boxed primitive what is in it.
   * @throws Refusal for one whose content is elsewhere.
   */
  private instance(value: object): unknown {
    // guards: json-values.instance
    if (typeof (value as { then?: unknown }).then === 'function') {
      // A toJSON or a getter may have made it: then nothing else leads to it.
      ignoreRejections(value);
      throw new Refusal(() => 'is a promise that was not awaited: await it');
    }
    if (isObservable(value)) throw new Refusal(() => 'is an Observable: await its last value (lastValueFrom)');
    if (this.rule === 'onlyJson') throw new Refusal(() => `is ${instanceWord(value)}`);
    const tag = tagOf(value);
    const unbox = BOXES.get(tag);
    if (unbox) return this.carried(unbox.call(value), '', 0);
    if (!ArrayBuffer.isView(value) && !ELSEWHERE.has(tag) && !isEmptied(value)) return undefined;
    const remedy = REMEDIES.get(tag) ?? '';
    throw new Refusal(() => `is ${instanceWord(value)}, whose content is not in its own properties${remedy}`);
  }
}
