/** The codec that encrypts with the user's cipher and keys. Neighbours: `codec.ts`, `payload.ts`. */

import { InvalidOptionError, UnsupportedError } from '../model/errors.js';
import { checkCodec, type JsonValue, jsonCodec, type PayloadCodec } from './codec.js';
import { storedText } from './payload.js';

/** A cipher with one key. Both functions are synchronous: an enqueue that had to wait would be overtaken by the next one. */
export interface Encryption {
  /** Name of the key, never the key itself: it is stored in plain text with each job. Each key needs its own name. @default required */
  readonly keyId: string;
  /** Encrypts, synchronously. @default required */
  encrypt(text: string): string;
  /** Decrypts, synchronously. It must throw for a text that was not encrypted with this key. @default required */
  decrypt(text: string): string;
}

/**
 * Encrypts payloads and results; names of jobs, ids of entities and reasons of failures stay as they are. To rotate
 * a key, put the new one in `codec`, and keep the old ones in `readCodecs` for as long as jobs of theirs are kept.
 *
 * @example
 * ```ts
 * AtomicQueuesModule.forRoot({ codec: encryptedCodec(aes('2027', newKey)), readCodecs: [encryptedCodec(aes('2026', oldKey))], … })
 * ```
 * @param inner the codec that makes the text before it is encrypted. Default JSON.
 * @throws InvalidOptionError if a part of it is missing.
 */
export function encryptedCodec(encryption: Encryption, inner: PayloadCodec = jsonCodec): PayloadCodec {
  const { keyId, encrypt, decrypt } = encryption ?? {};
  if (typeof keyId !== 'string' || keyId === '' || typeof encrypt !== 'function' || typeof decrypt !== 'function') {
    throw new InvalidOptionError('encryptedCodec() needs { keyId, encrypt, decrypt }, with a non-empty keyId.');
  }
  checkCodec('The second argument of encryptedCodec()', inner);
  return {
    name: `encrypted:${keyId}${inner === jsonCodec ? '' : `:${inner.name}`}`,
    isSecret: true,
    encode: value => textOf(encryption.encrypt(storedText(inner, value)), 'encrypt'),
    decode: encoded => {
      if (typeof encoded !== 'string') throw new TypeError('not encrypted');
      const text = textOf(encryption.decrypt(encoded), 'decrypt');
      return inner.decode(JSON.parse(text) as JsonValue);
    },
  };
}

function textOf(text: unknown, name: string): string {
  if (typeof text === 'string') return text;
  // Its result is not awaited.
  if (text instanceof Promise) text.catch(() => {});
  throw new UnsupportedError(
    `${name}() of an encryptedCodec gave a ${text instanceof Promise ? 'promise' : typeof text}, and must give a string, at once: keep the keys at hand.`,
  );
}
