/**
 * Halves of surrogate pairs, as in a text that was cut in the middle of an emoji. A name with one is refused, since two names would become
 * one in Redis. Other texts are made well-formed: each half becomes U+FFFD, as it does in UTF-8.
 */

const HALF = /\\ud[89a-f]/;
const ESCAPES = /\\(?:(ud[89a-f][0-9a-f]{2})|.)/g;

/** JSON text that every reader accepts. `JSON.stringify` writes a half as an escape, which Redis's JSON refuses. */
export function wellFormedJson(json: string): string {
  if (!HALF.test(json)) return json;
  return json.replace(ESCAPES, (whole, half: string | undefined) => (half === undefined ? whole : '\\ufffd'));
}
