/**
 * Promises in a value that is refused or dropped. Nothing awaits them, and Node ends the process when one of them rejects.
 *
 * Owns: how they are found, and the bounds of the search. Neighbours: `json-values.ts`, `payload.ts`, `stored-result.ts` and `enqueuer.ts`
 * refuse values; `run-batch.ts` and `run-limit.ts` drop results; `queue-bus.ts` drops the rest of a bulk or a flow.
 */
import { MAX_VALUES } from '../model/bounds.js';
import { isArray, lengthOf, readProperty, tagOf } from '../model/error-text.js';

/** Maximum number of objects and arrays that are searched, which takes a tenth of a second. Promises do not count. */
const MAX_HOLDERS = 100_000;

/**
 * Adds an empty rejection handler to each promise within a value: in arrays, own properties, maps and sets. It calls no getter, no
 * toJSON and no `then` of the value itself, which might start work. It never throws, not even for a hostile proxy.
 */
export function ignoreRejections(value: unknown): void {
  const search = new Search();
  search.add(value);
  search.run();
}

class Search {
  private left = MAX_VALUES;
  private readonly seen = new Set<object>();
  /** A stack of its own: the call stack may have been too short for the value. */
  private readonly pending: object[] = [];

  run(): void {
    for (let holder = this.pending.pop(); holder !== undefined; holder = this.pending.pop()) {
      try {
        this.addContents(holder);
      } catch {
        // A proxy that throws: its content can't be read.
      }
    }
  }

  /** @returns whether more may be added. */
  add(value: unknown): boolean {
    this.left -= 1;
    if (typeof value === 'object' && value !== null && !ignoreRejection(value)) this.addHolder(value);
    return this.left > 0;
  }

  private addHolder(value: object): void {
    if (this.seen.size >= MAX_HOLDERS || this.seen.has(value)) return;
    this.seen.add(value);
    this.pending.push(value);
  }

  private addContents(holder: object): void {
    if (isArray(holder)) {
      const length = lengthOf(holder);
      for (let at = 0; at < length; at++) if (!this.add(readProperty(holder, at))) return;
      return;
    }
    const valuesOf = COLLECTIONS.get(tagOf(holder));
    if (valuesOf) for (const value of valuesOf.call(holder)) if (!this.add(value)) return;
    for (const key of Object.keys(holder)) {
      if (!this.add(Object.getOwnPropertyDescriptor(holder, key)?.value)) return;
    }
  }
}

/** By tag, since the collections may be of another realm. */
const COLLECTIONS = new Map<string, (this: unknown) => Iterable<unknown>>([
  ['Map', Map.prototype.values as () => Iterable<unknown>],
  ['Set', Set.prototype.values as () => Iterable<unknown>],
]);

/** @returns whether it is a promise, of any realm. A thenable is none: its `then` may send a query. */
function ignoreRejection(value: object): boolean {
  try {
    if (!(value instanceof Promise) && tagOf(value) !== 'Promise') return false;
    // guards: ignored-rejections.ignoreRejection
    Promise.prototype.then.call(value, undefined, () => {});
    return true;
  } catch {
    return false;
  }
}
