/**
 * How a payload is kept in the store: its codec, by name, and the codecs that a pod can read.
 *
 * Owns: what a codec is, the one that is plain JSON, and the table of those that this pod knows.
 * Neighbours: `payload.ts` writes and reads with them; `envelope.ts` carries the name from the producer to the worker.
 */
import type { ChildRef, Envelope } from '../model/envelope.js';
import { InvalidOptionError } from '../model/errors.js';
import { PayloadUnreadableError } from '../model/payload-errors.js';

/** What JSON can carry. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/**
 * Writes payloads and results as JSON, and reads them again: for values that JSON can't carry, or to encrypt. Both methods are
 * synchronous: an enqueue that had to wait would be overtaken by the next one. What stands in Redis stays JSON, so every BullMQ
 * tool can read the job.
 *
 * @example
 * ```ts
 * const base64: PayloadCodec = {
 *   name: 'base64',
 *   encode: value => Buffer.from(JSON.stringify(value)).toString('base64'),
 *   decode: encoded => JSON.parse(Buffer.from(String(encoded), 'base64').toString()),
 * };
 * ```
 */
export interface PayloadCodec {
  /** Travels with each job, so that it is read as it was written. A codec that writes otherwise needs another name. */
  readonly name: string;
  /** Nothing of a payload may stand in an error, nor in its cause: of an invalid one only the paths are told. Default false. */
  readonly isSecret?: boolean;
  encode(value: unknown): JsonValue;
  decode(encoded: JsonValue): unknown;
}

/** Plain JSON, the default: for an entity type that leaves the codec of the module. */
export const jsonCodec: PayloadCodec = {
  name: 'json',
  encode: value => value as JsonValue,
  decode: encoded => encoded,
};

/** @throws InvalidOptionError when it is no codec; `path` says where it was written. */
export function checkCodec(path: string, codec: PayloadCodec): void {
  const { name, encode, decode } = codec ?? {};
  if (typeof encode === 'function' && typeof decode === 'function' && typeof name === 'string' && name !== '') return;
  throw new InvalidOptionError(`${path} must be a codec: { name, encode, decode }, with a non-empty name.`);
}

/** How an entity type stores its payloads. */
export interface CodecRequirement {
  readonly codec: PayloadCodec;
  /** Only what this codec has written is read, or another one that is secret. */
  readonly requireCodec: boolean;
}

/** The codecs that this pod can read. */
export class Codecs {
  private readonly known = new Map<unknown, PayloadCodec>([[jsonCodec.name, jsonCodec]]);

  /** @param requirementOf what each entity type requires. Default: nothing. */
  constructor(
    private readonly requirementOf: (entityType: string) => CodecRequirement = () => ({
      codec: jsonCodec,
      requireCodec: false,
    }),
  ) {}

  /** @throws InvalidOptionError when another codec has the name: what one has written the other would read. */
  add(codec: PayloadCodec): void {
    const other = this.known.get(codec.name);
    if (other && other !== codec) {
      throw new InvalidOptionError(
        `Two codecs are named "${codec.name}"; make it once and use it everywhere, or give one another name.`,
      );
    }
    this.known.set(codec.name, codec);
  }

  /** Whether this pod can read the payload of a job, and what its children return. */
  knows(envelope: Envelope): boolean {
    return this.unknownOf(envelope) === undefined;
  }

  /** The first codec that a job needs and this pod does not know. */
  unknownOf({ codec, children }: Envelope): unknown {
    if (codec !== undefined && !this.known.has(codec)) return codec;
    // What somebody has written by hand is none.
    // guards: codec.unknownOf
    if (children === undefined || !Array.isArray(children)) return undefined;
    return children.find((child: Partial<ChildRef> | null) => {
      const name = child?.codec;
      return name !== undefined && !this.known.has(name);
    })?.codec;
  }

  /**
   * The codec of a job.
   * @throws PayloadUnreadableError when this pod has none of its name.
   */
  of({ codec }: Envelope): PayloadCodec {
    const known = codec === undefined ? jsonCodec : this.known.get(codec);
    if (known) return known;
    throw new PayloadUnreadableError(
      `No codec ${JSON.stringify(codec)} on this pod; add it to AtomicQueuesModule.readCodecs.`,
    );
  }

  /**
   * The envelope is no proof of anything: who can write to the store writes it, too. So what an entity type requires is asked of
   * the type.
   * @param what of which the envelope is, for the message.
   * @throws PayloadUnreadableError when the type requires another codec.
   */
  checkRequired(entityType: string, envelope: Envelope, what: string): void {
    const { codec, requireCodec } = this.requirementOf(entityType);
    if (!requireCodec) return;
    const used = this.of(envelope);
    // guards: codec.checkRequired
    if (used === codec || used.isSecret) return;
    throw new PayloadUnreadableError(
      `Entity type "${entityType}" requires the codec "${codec.name}", or another one that is secret, and ${what} was written by "${used.name}"; it is not read. ` +
        `If that is to be read, as while a codec is introduced, set requireCodec to false.`,
    );
  }
}

/** The envelope of a payload that this codec writes: it names it, but for plain JSON, which costs nothing. */
export function sealedBy(codec: PayloadCodec, envelope: Envelope | undefined): Envelope | undefined {
  // guards: codec.sealedBy
  return codec === jsonCodec ? envelope : { ...envelope, codec: codec.name };
}
