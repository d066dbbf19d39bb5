/**
 * The command channel: all calls of one tick in one EVALSHA, or several if they are many, answered in the order in which
 * they were made.
 *
 * Owns: batching, the bounds of a batch, deadlines while Redis is away, and what a failure means for each call: not
 * executed, or unknown. Nothing is resent unless it is certain that neither it nor anything after it was executed.
 * Neighbours: `scripts/dispatcher.ts` is what it runs; `redis-store.ts` says what is called.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { Unpackr } from 'msgpackr';
import { detached } from '../../core/detached.js';
import { messageOf, OutcomeUnknownError, StoreRefusedError, StoreUnavailableError } from '../../core/errors.js';
import type { Clock, Timer } from '../../core/ports.js';
import { REPLICA_ERROR, sendTexts } from './connection.js';

type Argument = string | number;

interface Call {
  readonly op: string;
  readonly args: readonly Argument[];
  readonly size: number;
  readonly madeAtMs: number;
  /** Turns the raw answer into the call's own; may throw the call's own error. */
  readonly decode: (answer: readonly unknown[]) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Batch {
  readonly calls: readonly Call[];
  state: 'sent' | 'unknown-script';
}

const unpackr = new Unpackr({ useRecords: false });

/** Bounds of one EVALSHA: while it runs, Redis does nothing else. */
const MAX_CALLS = 64;
const MAX_BYTES = 512 * 1024;

export interface ChannelOptions {
  readonly redis: Redis;
  readonly script: string;
  /** Arguments that every batch begins with. */
  readonly header: readonly string[];
  /** How long a call waits for Redis to come back before it is rejected, and an answer before the connection is dropped. */
  readonly timeoutMs: number;
  /** How often the two are looked at. */
  readonly watchMs: number;
  readonly clock: Clock;
  /** Called when the answers of a batch have been read, before any caller goes on with its own. */
  readonly onRead: () => void;
}

export class Channel {
  private readonly sha: string;
  private waiting: Call[] = [];
  private inFlight: Batch[] = [];
  private flushScheduled = false;
  /** Anything has come since the last look. */
  private heard = false;
  private silentMs = 0;
  private watchdog: Timer | undefined;
  private closed = false;

  constructor(private readonly options: ChannelOptions) {
    this.sha = createHash('sha1').update(options.script).digest('hex');
    options.redis.on('ready', this.flush);
  }

  call<T>(op: string, args: readonly Argument[], decode: (answer: readonly unknown[]) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) {
        reject(new StoreUnavailableError('The connection to Redis has been closed.'));
        return;
      }
      const madeAtMs = this.options.clock.monotonicMs();
      // Here, where an argument that is none is its caller's error, and not that of all calls of the tick.
      const size = args.reduce<number>((sum, arg) => sum + (typeof arg === 'number' ? 8 : arg.length), 0);
      this.waiting.push({ op, args, size, madeAtMs, decode, resolve: resolve as (value: unknown) => void, reject });
      // A full batch goes at once: Redis runs it while this tick makes the next.
      if (this.waiting.length >= MAX_CALLS) this.flush();
      else this.schedule();
    });
  }

  /**
   * True when answers are owed and none at all has come for that long: the connection hangs (race 15). Counted in looks,
   * each of which leaves time for what has arrived to be read: a process that was blocked has not been silent.
   */
  isSilentFor(ms: number): boolean {
    return this.inFlight.length > 0 && this.silentMs >= ms;
  }

  /** Ends the channel; what was not answered is rejected. */
  close(): void {
    this.closed = true;
    this.watchdog?.cancel();
    this.options.redis.off('ready', this.flush);
    this.rejectWaiting(() => true);
  }

  private schedule(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    setImmediate(() => {
      this.flushScheduled = false;
      this.flush();
    });
  }

  /** A batch is of several callers: none of them lends it a context. */
  private readonly flush = (): void => detached(() => this.sendWaiting());

  private sendWaiting(): void {
    this.watch();
    // While a batch is known not to have run, nothing may overtake it.
    if (this.options.redis.status !== 'ready' || this.inFlight.some(batch => batch.state === 'unknown-script')) return;
    while (this.waiting.length > 0) this.send(nextBatch(this.waiting), false);
  }

  private send(calls: readonly Call[], withText: boolean): void {
    const { redis, script, header } = this.options;
    const texts = [withText ? script : this.sha, '0', ...header];
    for (const { op, args } of calls) {
      texts.push(op, String(args.length));
      for (const arg of args) texts.push(typeof arg === 'string' ? arg : String(arg));
    }
    const batch: Batch = { calls, state: 'sent' };
    this.inFlight.push(batch);
    sendTexts(redis, withText ? 'EVAL' : 'EVALSHA', texts)
      .then(answers => unpackr.unpack(answers))
      .then(
        answers => this.onAnswers(batch, answers),
        error => this.onFailure(batch, error),
      );
  }

  private onAnswers(batch: Batch, answers: readonly unknown[]): void {
    // This batch ran although an earlier one did not: that one can't be sent again without overtaking (race 17).
    for (const earlier of this.inFlight.splice(0, this.inFlight.indexOf(batch) + 1)) {
      if (earlier !== batch)
        rejectAll(earlier, new StoreUnavailableError('Redis had lost the script; the call was not executed.'));
    }
    this.heard = true;
    for (const [index, call] of batch.calls.entries()) settle(call, answers[index]);
    this.options.onRead();
    if (answers.some(isFromReplica)) this.options.redis.disconnect(true);
    this.resendUnknown();
  }

  private onFailure(batch: Batch, error: Error): void {
    this.heard = true;
    if (error.message.startsWith('NOSCRIPT')) {
      batch.state = 'unknown-script';
    } else {
      this.inFlight.splice(this.inFlight.indexOf(batch), 1);
      rejectAll(batch, meaningOf(error));
    }
    this.resendUnknown();
  }

  /** Once nothing is under way but batches that Redis did not know the script of: send them again, in order, with its text. */
  private resendUnknown(): void {
    if (this.inFlight.some(batch => batch.state === 'sent')) return;
    const batches = this.inFlight;
    this.inFlight = [];
    if (this.options.redis.status === 'ready') {
      for (const [index, batch] of batches.entries()) this.send(batch.calls, index === 0);
      if (this.waiting.length > 0) this.schedule();
    } else {
      this.waiting.unshift(...batches.flatMap(({ calls }) => calls));
      if (this.closed) this.rejectWaiting(() => true);
    }
  }

  /** One timer for the channel while anything is owed: deadlines of what waits, and a connection that hangs. */
  private watch(): void {
    if (this.watchdog || this.closed) return;
    this.watchdog = this.options.clock.after(this.options.watchMs, () => {
      this.watchdog = undefined;
      const { timeoutMs, watchMs, clock, redis } = this.options;
      this.silentMs = this.heard || this.inFlight.length === 0 ? 0 : this.silentMs + watchMs;
      this.heard = false;
      if (this.isSilentFor(timeoutMs)) redis.disconnect(true);
      const now = clock.monotonicMs();
      if (redis.status !== 'ready') this.rejectWaiting(call => now - call.madeAtMs >= timeoutMs);
      if (this.waiting.length > 0 || this.inFlight.length > 0) this.watch();
    });
  }

  private rejectWaiting(isLate: (call: Call) => boolean): void {
    const late = this.waiting.filter(isLate);
    this.waiting = this.waiting.filter(call => !isLate(call));
    for (const call of late) {
      call.reject(
        new StoreUnavailableError(
          `Redis can't be reached: "${call.op}" was not sent within ${this.options.timeoutMs} ms.`,
        ),
      );
    }
  }
}

/** The server behind the address is no longer the primary (a failover); a new connection reaches the one that is. */
function isFromReplica(answer: unknown): boolean {
  return !Array.isArray(answer) && REPLICA_ERROR.test((answer as { err: string }).err);
}

function nextBatch(waiting: Call[]): Call[] {
  let bytes = 0;
  let count = 0;
  while (count < waiting.length && count < MAX_CALLS && bytes < MAX_BYTES) {
    bytes += waiting[count]?.size ?? 0;
    count++;
  }
  return waiting.splice(0, count);
}

function settle(call: Call, answer: unknown): void {
  if (!Array.isArray(answer)) {
    const { err } = answer as { err: string };
    call.reject(new StoreRefusedError(`Redis refused "${call.op}": ${err}`));
    return;
  }
  try {
    call.resolve(call.decode(answer));
  } catch (error) {
    call.reject(error as Error);
  }
}

function rejectAll(batch: Batch, error: Error): void {
  for (const call of batch.calls) call.reject(error);
}

/** An answer that is an error: Redis did not run the script. No answer at all: nobody knows. */
function meaningOf(error: Error): Error {
  if (error.name === 'ReplyError')
    return new StoreRefusedError(`Redis refused the call: ${error.message}`, { cause: error });
  if (/isn't writeable/.test(error.message))
    return new StoreUnavailableError(`Redis can't be reached: ${error.message}`, { cause: error });
  return new OutcomeUnknownError(
    `The connection to Redis broke before the answer came (${messageOf(error)}); the call may or may not have been executed.`,
    { cause: error },
  );
}
