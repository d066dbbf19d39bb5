/**
 * The one rule for the values that JSON carries: for payloads, results, progress, and the output of codecs.
 *
 * Owns: the verdict on each kind of value, the path to a refused value, and the bounds of the walk. `docs/payloads.md` has the table.
 * A value is walked once, and `JSON.stringify` then writes it, with the result of each `toJSON` in its place: that is faster than a
 * replacer. Kinds are distinguished by brand and structure, since a value may come from another realm (`vm`, Jest).
 * Neighbours: `payload.ts` writes payloads, `stored-result.ts` writes results.
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

/** `'onlyJson'` is for the output of codecs: a date in it is refused, since its text would not become a date again. */
export type JsonRule = 'anyValue' | 'onlyJson';

/**
 * A value as JSON text. Properties that are `undefined` are left out.
 * @throws UnserializableDataError for values that JSON would lose or change, that throw when they are read, or that exceed the bounds.
 * Its message is a clause with the path, the kind and a short remedy, and with no part of the value. Promises in the value are handled.
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

/** A refused value. The error collects the path on its way up. */
class Refusal extends Error {
  /** From the value upwards: each property, and its holder. */
  private readonly steps: { readonly key: Key; readonly holder: object }[] = [];

  /** @param what the reason in words. It is called when the stack is free again: V8 ends the process if it has no room to compile a pattern. */
  constructor(private readonly what: () => string) {
    super();
  }

  at(key: Key, holder: object): this {
    this.steps.push({ key, holder });
    return this;
  }

  /** Its holder, which a toJSON or a getter may have made. */
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

/** @param error thrown by the walk, or by a getter, a proxy or a toJSON, whose message may repeat parts of the value. */
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

  /** The value that `JSON.stringify` writes: the given one, or a copy if a toJSON within it returned something else. */
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
      // JSON calls toJSON once: an object that returns itself is written by its properties.
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
   * Undefined for an instance whose content is its properties; for a boxed primitive, the primitive.
   * @throws Refusal for an instance whose content is elsewhere.
   */
  private instance(value: object): unknown {
    // guards: json-values.instance
    if (typeof (value as { then?: unknown }).then === 'function') {
      // A toJSON or a getter may have made it, and then nothing else refers to it.
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
