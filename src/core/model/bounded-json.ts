/**
 * JSON of a value of any size, which may throw when it is read. The work ends at the bound, and nothing here throws.
 * Neighbours: `failure-text.ts` and `http-response.ts` use this; `payload.ts` writes payloads without a bound and checks their size.
 */

const TOO_LARGE = Symbol('too large');

/** The JSON text of a value, as `JSON.stringify` writes it; undefined if it has none, or more than `maxLength` UTF-16 code units. */
export function jsonWithin(value: unknown, maxLength: number): string | undefined {
  let left = maxLength;
  const count = (key: string, part: unknown) => {
    left -= key.length + 1 + (typeof part === 'string' ? part.length : 0);
    // guards: bounded-json.jsonWithin
    if (left < 0) throw TOO_LARGE;
    return part;
  };
  try {
    const text = JSON.stringify(value, count);
    return text !== undefined && text.length <= maxLength ? text : undefined;
  } catch {
    return undefined;
  }
}
