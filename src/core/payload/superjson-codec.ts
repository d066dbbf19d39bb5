/** The codec for dates, maps, sets, bigints and more, by the package superjson, which the user installs. */
import type { JsonValue, PayloadCodec } from './codec.js';

/** The methods of a `SuperJSON` of the package superjson that are used here. */
export interface SuperJson {
  serialize(value: never): { readonly json: unknown; readonly meta?: unknown };
  deserialize(payload: never): unknown;
}

/**
 * Keeps `Date`, `Map`, `Set`, `bigint`, `undefined`, `NaN`, `RegExp`, `URL`, typed arrays and cycles, and the classes that this
 * superjson has registered (`registerClass`, `registerCustom`), by the package superjson, 2.2 or later. The stored text is
 * `{ json, meta }`, which is readable. The command itself, or a result, may be of any class; an instance within it is refused if
 * superjson does not know its class.
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
      // Superjson leaves an instance of an unknown class as it is, with its whole content.
      if (written.json === value && isInstance(value)) written = write({ ...value });
      const { json, meta } = written;
      return (meta === undefined ? { json } : { json, meta }) as JsonValue;
    },
    decode: encoded => {
      // Superjson reads any JSON, and loses a text that it has not written.
      if (typeof encoded !== 'object' || encoded === null || !('json' in encoded))
        throw new TypeError('not by superjson');
      return superjson.deserialize(encoded as never);
    },
  };
}

/** An object of a user's class. The content of one of the language's own classes, such as a promise, is not its properties. */
function isInstance(value: unknown): value is object {
  return Object.prototype.toString.call(value) === '[object Object]';
}
