/**
 * Batches of calls as EVALSHA: by the script's hash, or with its text after Redis did not know it.
 * Neighbours: `channel.ts` makes the batches; `connection.ts` sends the texts.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Call } from './batch.js';
import { sendTexts } from './connection.js';

export interface ScriptWriterOptions {
  readonly redis: Redis;
  readonly script: string;
  /** The start of every batch: the number of keys, the keys, and arguments. */
  readonly header: readonly string[];
}

export class ScriptWriter {
  private readonly sha: string;
  private sendsText = false;

  constructor(private readonly options: ScriptWriterOptions) {
    this.sha = createHash('sha1').update(options.script).digest('hex');
  }

  /** Redis does not know the script: the next batch brings its text. */
  sendText(): void {
    this.sendsText = true;
  }

  /** @throws what V8 or the socket throws for a text that it does not take. Nothing was written then. */
  write(calls: readonly Call[]): Promise<Buffer> {
    const { redis, script, header } = this.options;
    const withText = this.sendsText;
    this.sendsText = false;
    const texts = [withText ? script : this.sha, ...header];
    for (const { op, args } of calls) {
      texts.push(op, String(args.length));
      for (const arg of args) texts.push(typeof arg === 'string' ? arg : String(arg));
    }
    return sendTexts(redis, withText ? 'EVAL' : 'EVALSHA', texts);
  }
}
