/**
 * How a payload is stored: by a codec with a name, which the pods that read it must know.
 *
 * Owns: the interface of a codec, the codec of plain JSON, and the table of the codecs that this pod knows.
 * Neighbours: `payload.ts` writes and reads with them; `envelope.ts` carries the name from the producer to the worker.
 */
import type { ChildRef, Envelope } from '../model/envelope.js';
import { InvalidOptionError } from '../model/errors.js';
import { PayloadUnreadableError } from '../model/payload-errors.js';

/** A value that JSON can carry. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/**
 * Writes payloads and results as JSON, and reads them again: for values that JSON can't carry, or to encrypt. Both methods are
 * synchronous: an enqueue that had to wait would be overtaken by the next one. The text in Redis
 * stays JSON, so every BullMQ tool can read the job.
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
  /** Travels with each job, which is read by the codec that wrote it. A codec with another format needs another name. */
  readonly name: string;
  /** No part of a payload may stand in an error or its cause; errors name only the paths of invalid parts. Default false. */
  readonly isSecret?: boolean;
  encode(value: unknown): JsonValue;
  decode(encoded: JsonValue): unknown;
}

/** Plain JSON, the default codec. An entity type can name it to override the codec of the module. */
export const jsonCodec: PayloadCodec = {
  name: 'json',
  encode: value => value as JsonValue,
  decode: encoded => encoded,
};

/** @throws InvalidOptionError if it is no codec; `path` says where it was written. */
export function checkCodec(path: string, codec: PayloadCodec): void {
  const { name, encode, decode } = codec ?? {};
  if (typeof encode === 'function' && typeof decode === 'function' && typeof name === 'string' && name !== '') return;
  throw new InvalidOptionError(`${path} must be a codec: { name, encode, decode }, with a non-empty name.`);
}

/** How an entity type stores its payloads. */
export interface CodecRequirement {
  readonly codec: PayloadCodec;
  /** Only payloads of this codec, or of another secret one, are read. */
  readonly requireCodec: boolean;
}

/** The codecs that this pod can read. */
export class Codecs {
  private readonly known = new Map<unknown, PayloadCodec>([[jsonCodec.name, jsonCodec]]);

  /** @param requirementOf the requirement of each entity type. Default none. */
  constructor(
    private readonly requirementOf: (entityType: string) => CodecRequirement = () => ({
      codec: jsonCodec,
      requireCodec: false,
    }),
  ) {}

  /** @throws InvalidOptionError if another codec has the name: one would read the payloads of the other. */
  add(codec: PayloadCodec): void {
    const other = this.known.get(codec.name);
    if (other && other !== codec) {
      throw new InvalidOptionError(
        `Two codecs are named "${codec.name}"; make it once and use it everywhere, or give one another name.`,
      );
    }
    this.known.set(codec.name, codec);
  }

  /** Whether this pod can read the payload of a job, and the results of its children. */
  knows(envelope: Envelope): boolean {
    return this.unknownOf(envelope) === undefined;
  }

  /** The first codec that a job needs and this pod does not know. */
  unknownOf({ codec, children }: Envelope): unknown {
    if (codec !== undefined && !this.known.has(codec)) return codec;
    // Another program may have written anything here.
    // guards: codec.unknownOf
    if (children === undefined || !Array.isArray(children)) return undefined;
    return children.find((child: Partial<ChildRef> | null) => {
      const name = child?.codec;
      return name !== undefined && !this.known.has(name);
    })?.codec;
  }

  /**
   * The codec of a job.
   * @throws PayloadUnreadableError if this pod has no codec of its name.
   */
  of({ codec }: Envelope): PayloadCodec {
    const known = codec === undefined ? jsonCodec : this.known.get(codec);
    if (known) return known;
    throw new PayloadUnreadableError(
      `No codec ${JSON.stringify(codec)} on this pod; add it to AtomicQueuesModule.readCodecs.`,
    );
  }

  /**
   * Checks the codec in an envelope against the options of the entity type: the envelope itself proves nothing, since any program that
   * can write to the store can write it.
   * @param what the subject of the error message.
   * @throws PayloadUnreadableError if the type requires another codec.
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

/** The envelope of a payload of this codec. It names the codec, unless that is plain JSON. */
export function sealedBy(codec: PayloadCodec, envelope: Envelope | undefined): Envelope | undefined {
  // guards: codec.sealedBy
  return codec === jsonCodec ? envelope : { ...envelope, codec: codec.name };
}
