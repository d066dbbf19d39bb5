/**
 * The command channel: all calls of one tick in one EVALSHA, or several if they are many, answered in the order in which
 * they were made.
 *
 * Owns: batching, the bounds of a batch, deadlines while Redis is away, and what a failure means for each call: not
 * executed, or unknown. Nothing is resent unless it is certain that neither it nor anything after it was executed.
 * A batch without calls asks whether Redis takes any: first on each connection, and after each refusal.
 * Neighbours: `lua/compose.ts` is what it runs; `refusals.ts` says which replies are refusals; `call-words.ts` names calls in errors; `redis-store.ts` says what
 * is called.
 */

import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { detached } from '../../../core/model/detached.js';
import { messageOf } from '../../../core/model/errors.js';
import { StepTooLargeError, StoreRefusedError, StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { Clock, Timer } from '../../../core/ports/clock.js';
import { setImmediate } from '../../../core/ports/own-timers.js';
import { type Argument, type Batch, type Call, MAX_CALLS, nextBatch, sizeOf, sizeOfAll } from './batch.js';
import { callAsSubject, notSent } from './call-words.js';
import { sendTexts } from './connection.js';
import { KeepAlive } from './keep-alive.js';
import { closedBefore, isNeverSent, meaningOf, overtaken, rejectAll, settle, unpackr } from './outcome.js';
import { isFromReplica, isRefusal, isUnknownScript, refusalIn } from './refusals.js';

/** How soon a server that refuses calls is asked again, and how soon a replica is left for another connection. */
const ASK_AGAIN_MS = 100;

/** What is written in one turn of the event loop. */
const MAX_BYTES_A_TURN = 1024 * 1024;

/** What is sent and not answered. More waits here, where it costs neither a buffer of the socket nor one of Redis. */
const MAX_BYTES_IN_FLIGHT = 4 * 1024 * 1024;

/** One call: above what options allow a payload or a result, and far below what Redis and V8 take. */
const MAX_CALL_BYTES = 16 * 1024 * 1024;

export interface ChannelOptions {
  readonly redis: Redis;
  readonly script: string;
  /** What every batch begins with: the number of keys, the keys, and arguments. */
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
  /** Redis takes calls: it has executed one on this connection, and refused none since. */
  private isOpen = false;
  private isAsking = false;
  private askTimer: Timer | undefined;
  /** Why it does not, if it has said so. */
  private refusal: string | undefined;
  /** Why the last attempt to connect failed, until one succeeds. */
  private connectionError: Error | undefined;
  private sendsText = false;
  /** Anything has come since the last look. */
  private heard = false;
  private silentMs = 0;
  private watchdog: Timer | undefined;
  private closed = false;
  private keepAlive: KeepAlive | undefined;

  constructor(private readonly options: ChannelOptions) {
    this.sha = createHash('sha1').update(options.script).digest('hex');
    options.redis.on('ready', this.begin);
    options.redis.on('error', this.onConnectionError);
  }

  call<T>(op: string, args: readonly Argument[], decode: (answer: readonly unknown[]) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) {
        reject(new StoreUnavailableError('The connection to Redis has been closed.'));
        return;
      }
      const madeAtMs = this.options.clock.monotonicMs();
      // Here, where an argument that is none is its caller's error, and not that of all calls of the tick.
      const size = args.reduce<number>((sum, arg) => sum + sizeOf(arg), 0);
      // guards: channel.call
      if (size > MAX_CALL_BYTES) {
        const remedy = 'write less, or a link to where it is stored';
        reject(new StepTooLargeError(callAsSubject(op), { bytes: size, maxBytes: MAX_CALL_BYTES, remedy }));
        return;
      }
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
    return this.inFlight.length > 0 && !this.heard && this.silentMs >= ms;
  }

  /** From now on the connection keeps the process alive only while an answer is owed. */
  linger(): void {
    this.keepAlive ??= new KeepAlive(this.options.redis);
    this.keepAlive.set(this.inFlight.length > 0);
  }

  /** Ends the channel; what was not answered is rejected. */
  close(): void {
    this.closed = true;
    this.watchdog?.cancel();
    this.askTimer?.cancel();
    this.options.redis.off('ready', this.begin);
    this.options.redis.off('error', this.onConnectionError);
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

  /** A new connection, perhaps to another server. */
  private readonly begin = (): void => {
    this.connectionError = undefined;
    // guards: channel.schedule
    this.isOpen = false;
    this.isAsking = false;
    this.askTimer?.cancel();
    this.askTimer = undefined;
    this.flush();
  };

  private readonly onConnectionError = (error: Error): void => {
    this.connectionError = error;
  };

  /** A batch is of several callers: none of them lends it a context. */
  private readonly flush = (): void => detached(() => this.flushNow());

  private flushNow(): void {
    this.watch();
    // What was refused goes first: nothing may overtake it.
    // guards: channel.flushNow
    if (this.options.redis.status !== 'ready' || this.inFlight.some(({ refusal }) => refusal !== undefined)) return;
    if (this.isOpen) this.sendWaiting();
    else this.ask();
  }

  private sendWaiting(): void {
    let left = MAX_BYTES_A_TURN;
    // guards: channel.sendWaiting
    while (this.waiting.length > 0 && left > 0 && this.bytesInFlight < MAX_BYTES_IN_FLIGHT) {
      const calls = nextBatch(this.waiting);
      left -= sizeOfAll(calls);
      this.send(calls);
    }
    if (left <= 0 && this.waiting.length > 0) this.schedule();
  }

  private get bytesInFlight(): number {
    return this.inFlight.reduce((sum, { size }) => sum + size, 0);
  }

  private ask(): void {
    if (this.isAsking || this.askTimer || this.closed) return;
    this.isAsking = true;
    this.send([]);
  }

  private send(calls: readonly Call[]): void {
    const batch: Batch = { calls, size: sizeOfAll(calls) };
    let answer: Promise<Buffer>;
    try {
      answer = this.write(calls);
    } catch (error) {
      // Nothing of it was written: a text that V8 or the socket does not take, say.
      const why = new StoreRefusedError(`The call can't be sent (${messageOf(error)}); it was not executed.`);
      // guards: channel.send
      rejectAll(batch, why);
      return;
    }
    this.inFlight.push(batch);
    this.keepAlive?.set(true);
    answer
      .then(answers => unpackr.unpack(answers))
      .then(
        answers => this.onAnswers(batch, answers),
        error => this.onFailure(batch, error),
      );
  }

  private write(calls: readonly Call[]): Promise<Buffer> {
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

  private onAnswers(batch: Batch, answers: readonly unknown[]): void {
    // guards: channel.onAnswers
    const refusal = batch.calls.length > 0 ? refusalIn(answers) : undefined;
    if (refusal !== undefined) this.onRefusal(batch, refusal);
    else this.onExecuted(batch, answers);
    this.goOn();
  }

  private onExecuted(batch: Batch, answers: readonly unknown[]): void {
    // This batch ran although an earlier one did not: that one can't be sent again without overtaking (race 17).
    for (const earlier of this.inFlight.splice(0, this.inFlight.indexOf(batch) + 1)) {
      if (earlier !== batch) rejectAll(earlier, new StoreUnavailableError(overtaken(earlier)));
    }
    this.heard = true;
    // guards: channel.onExecuted
    for (const [index, call] of batch.calls.entries()) settle(call, answers[index]);
    this.options.onRead();
    if (batch.calls.length === 0) this.onTaken();
  }

  private onFailure(batch: Batch, error: Error): void {
    // guards: channel.onFailure
    if (isRefusal(error.message) || isNeverSent(error.message)) this.onRefusal(batch, error.message);
    else {
      this.heard = true;
      this.inFlight.splice(this.inFlight.indexOf(batch), 1);
      rejectAll(batch, meaningOf(error));
      // The question failed for a reason of its own, of which each call will be told.
      if (batch.calls.length === 0 && error.name === 'ReplyError') this.onTaken();
    }
    this.goOn();
  }

  private goOn(): void {
    this.takeBack();
    if (this.waiting.length > 0) this.schedule();
    this.keepAlive?.set(this.inFlight.length > 0);
  }

  private onRefusal(batch: Batch, refusal: string): void {
    this.heard = true;
    batch.refusal = refusal;
  }

  private onTaken(): void {
    this.isAsking = false;
    this.isOpen = true;
    this.refusal = undefined;
    this.flush();
  }

  /** Once nothing is under way but batches that were refused: their calls go back to the head of what waits, in order. */
  private takeBack(): void {
    // guards: channel.takeBack
    if (this.inFlight.length === 0 || this.inFlight.some(({ refusal }) => refusal === undefined)) return;
    const refusals = this.inFlight.map(({ refusal = '' }) => refusal);
    this.waiting.unshift(...this.inFlight.flatMap(({ calls }) => calls));
    this.inFlight = [];
    this.isAsking = false;
    if (this.closed) {
      this.rejectWaiting(() => true);
      return;
    }
    const serious = refusals.find(refusal => !isUnknownScript(refusal));
    if (serious === undefined) this.sendsText = true;
    else this.shut(serious);
    this.flush();
  }

  private shut(refusal: string): void {
    this.isOpen = false;
    this.refusal = refusal;
    const { clock, redis } = this.options;
    this.askTimer = clock.after(ASK_AGAIN_MS, () => {
      this.askTimer = undefined;
      // A new connection reaches the server that is the primary now.
      // guards: channel.shut
      if (isFromReplica(refusal) && redis.status === 'ready') redis.disconnect(true);
      else this.flush();
    });
  }

  /** One timer for the channel while anything is owed: deadlines of what waits, and a connection that hangs. */
  private watch(): void {
    if (this.watchdog || this.closed) return;
    this.watchdog = this.options.clock.after(this.options.watchMs, () => {
      this.watchdog = undefined;
      const { timeoutMs, watchMs, clock, redis } = this.options;
      // guards: channel.watch
      this.silentMs = this.heard || this.inFlight.length === 0 ? 0 : this.silentMs + watchMs;
      this.heard = false;
      if (this.isSilentFor(timeoutMs)) redis.disconnect(true);
      const now = clock.monotonicMs();
      if (!this.isOpen || redis.status !== 'ready') this.rejectWaiting(call => now - call.madeAtMs >= timeoutMs);
      if (this.waiting.length > 0 || this.inFlight.length > 0) this.watch();
    });
  }

  private rejectWaiting(isLate: (call: Call) => boolean): void {
    const late = this.waiting.filter(isLate);
    this.waiting = this.waiting.filter(call => !isLate(call));
    const { refusal, connectionError } = this;
    for (const { op, reject } of late) {
      reject(this.closed ? closedBefore(op) : notSent(op, { ...this.options, refusal, connectionError }));
    }
  }
}
