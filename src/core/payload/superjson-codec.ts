/** The richer codec: dates, maps, sets, bigints and more, by superjson, which the user brings. */
import type { JsonValue, PayloadCodec } from './codec.js';

/** What is needed of a `SuperJSON` of the package superjson. */
export interface SuperJson {
  serialize(value: never): { readonly json: unknown; readonly meta?: unknown };
  deserialize(payload: never): unknown;
}

/**
 * Keeps `Date`, `Map`, `Set`, `bigint`, `undefined`, `NaN`, `RegExp`, `URL`, typed arrays and cycles, and the classes that this
 * superjson was told of (`registerClass`, `registerCustom`), by the package superjson, 2.2 or later. What is stored is
 * `{ json, meta }`, readable as it stands. The command itself, or a result, may be of any class; an instance further in whose class
 * superjson does not know is refused.
 *
 * @example
 * ```ts
 * AtomicQueuesModule.forRoot({ codec: superjsonCodec(new SuperJSON()), … }) // SuperJSON of the package superjson
 * ```
 */
export function superjsonCodec(superjson: SuperJson): PayloadCodec {
  const write = (value: unknown) => superjson.serialize(value as never);
  return {
    name: 'superjson',
    encode: value => {
      let written = write(value);
      // It leaves an instance of a class that it does not know as it is, with all that is in it.
      if (written.json === value && isInstance(value)) written = write({ ...value });
      const { json, meta } = written;
      return (meta === undefined ? { json } : { json, meta }) as JsonValue;
    },
    decode: encoded => {
      // It reads anything, and makes nothing of what it has not written.
      if (typeof encoded !== 'object' || encoded === null || !('json' in encoded))
        throw new TypeError('not by superjson');
      return superjson.deserialize(encoded as never);
    },
  };
}

/** An object whose class is the user's: one of the language's own (a promise, say) is not made of its properties. */
function isInstance(value: unknown): value is object {
  return Object.prototype.toString.call(value) === '[object Object]';
}
