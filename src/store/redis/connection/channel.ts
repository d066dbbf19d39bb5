/**
 * The command channel: all calls of one tick in one EVALSHA, or in several if they are many. Their responses come in the order
 * of the calls.
 *
 * Owns: when a batch is sent, and deadlines while Redis is away. No call is sent again unless it is certain that Redis executed neither
 * it nor anything after it. A batch without calls checks whether Redis accepts calls: first on each connection, and after each refusal.
 * Neighbours: `batch.ts` bounds a batch; `script-writer.ts` writes it; `in-flight.ts` has those without a response; `outcome.ts` settles
 * calls; `refusals.ts` says which responses are refusals; `call-words.ts` names calls in errors.
 */
import { detached } from '../../../core/model/detached.js';
import { messageOf } from '../../../core/model/errors.js';
import { StepTooLargeError, StoreRefusedError, StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { Clock, Timer } from '../../../core/ports/clock.js';
import { setImmediate } from '../../../core/ports/own-timers.js';
import { type Argument, type Batch, type Call, MAX_CALLS, nextBatch, sizeOf, sizeOfAll } from './batch.js';
import { callAsSubject, notSent } from './call-words.js';
import { InFlight } from './in-flight.js';
import { KeepAlive } from './keep-alive.js';
import { closedBefore, isNeverSent, meaningOf, rejectAll, settle, unpackr } from './outcome.js';
import { isFromReplica, isRefusal, isUnknownScript, refusalIn } from './refusals.js';
import { ScriptWriter, type ScriptWriterOptions } from './script-writer.js';

/** After a refusal: how soon Redis is asked again, and how soon a replica is left for another connection. In ms. */
const ASK_AGAIN_MS = 100;

/** Maximum number of bytes written in one turn of the event loop. */
const MAX_BYTES_A_TURN = 1024 * 1024;

/** Maximum number of bytes in flight. More waits here, and takes no buffer of the socket or of Redis. */
const MAX_BYTES_IN_FLIGHT = 4 * 1024 * 1024;

/** Maximum size of one call: above what options allow a payload or a result, and far below what Redis and V8 take. */
const MAX_CALL_BYTES = 16 * 1024 * 1024;

export interface ChannelOptions extends ScriptWriterOptions {
  /** How long a call waits for Redis to come back, and a response is waited for before the connection is dropped. */
  readonly timeoutMs: number;
  /** Interval at which both are checked. */
  readonly watchMs: number;
  readonly clock: Clock;
  /** Called when the responses of a batch have been read, before any caller goes on with its own. */
  readonly onRead: () => void;
}

export class Channel {
  private readonly writer: ScriptWriter;
  private waiting: Call[] = [];
  private readonly inFlight = new InFlight();
  private flushScheduled = false;
  /** Redis accepts calls: it has executed a batch on this connection, and refused none since. */
  private isOpen = false;
  private isAsking = false;
  private askTimer: Timer | undefined;
  /** Why Redis accepts no calls, if it has told. */
  private refusal: string | undefined;
  /** Why the last attempt to connect failed, until one succeeds. */
  private connectionError: Error | undefined;
  private watchdog: Timer | undefined;
  private closed = false;
  private keepAlive: KeepAlive | undefined;

  constructor(private readonly options: ChannelOptions) {
    this.writer = new ScriptWriter(options);
    options.redis.on('ready', this.begin);
    options.redis.on('error', this.onConnectionError);
  }

  call<T>(op: string, args: readonly Argument[], decode: (response: readonly unknown[]) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) {
        reject(new StoreUnavailableError('The connection to Redis has been closed.'));
        return;
      }
      const madeAtMs = this.options.clock.monotonicMs();
      // Measured here, so that an invalid argument fails its own call, and not all calls of the tick.
      const size = args.reduce<number>((sum, arg) => sum + sizeOf(arg), 0);
      // guards: channel.call
      if (size > MAX_CALL_BYTES) {
        const remedy = 'write less, or a link to where it is stored';
        reject(new StepTooLargeError(callAsSubject(op), { bytes: size, maxBytes: MAX_CALL_BYTES, remedy }));
        return;
      }
      this.waiting.push({ op, args, size, madeAtMs, decode, resolve: resolve as (value: unknown) => void, reject });
      // A full batch is sent at once: Redis runs it while this tick makes the next.
      if (this.waiting.length >= MAX_CALLS) this.flush();
      else this.schedule();
    });
  }

  /**
   * Whether responses are pending and none has come for that long: the connection hangs (race 15). A process that was blocked has not
   * been silent.
   */
  isSilentFor(ms: number): boolean {
    return this.inFlight.isSilentFor(ms);
  }

  /** From now on the connection keeps the process alive only while a response is pending. */
  linger(): void {
    this.keepAlive ??= new KeepAlive(this.options.redis);
    this.keepAlive.set(!this.inFlight.isEmpty);
  }

  /** Ends the channel. Rejects the calls that wait. */
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
    // guards: channel.begin
    this.isOpen = false;
    this.isAsking = false;
    this.askTimer?.cancel();
    this.askTimer = undefined;
    this.flush();
  };

  private readonly onConnectionError = (error: Error): void => {
    this.connectionError = error;
  };

  /** A batch has calls of several callers, so it runs in the context of none. */
  private readonly flush = (): void => detached(() => this.flushNow());

  private flushNow(): void {
    this.watch();
    // Refused calls go first: nothing may overtake them.
    // guards: channel.flushNow
    if (this.options.redis.status !== 'ready' || this.inFlight.hasRefused) return;
    if (this.isOpen) this.sendWaiting();
    else this.ask();
  }

  private sendWaiting(): void {
    let left = MAX_BYTES_A_TURN;
    // guards: channel.sendWaiting
    while (this.waiting.length > 0 && left > 0 && this.inFlight.bytes < MAX_BYTES_IN_FLIGHT) {
      const calls = nextBatch(this.waiting);
      left -= sizeOfAll(calls);
      this.send(calls);
    }
    if (left <= 0 && this.waiting.length > 0) this.schedule();
  }

  private ask(): void {
    if (this.isAsking || this.askTimer || this.closed) return;
    this.isAsking = true;
    this.send([]);
  }

  private send(calls: readonly Call[]): void {
    const batch: Batch = { calls, size: sizeOfAll(calls) };
    let response: Promise<Buffer>;
    try {
      response = this.writer.write(calls);
    } catch (error) {
      // Nothing was written: V8 or the socket does not take one of the texts, for example.
      const why = new StoreRefusedError(`The call can't be sent (${messageOf(error)}); it was not executed.`);
      // guards: channel.send
      rejectAll(batch, why);
      return;
    }
    this.inFlight.add(batch);
    this.keepAlive?.set(true);
    response
      .then(packed => unpackr.unpack(packed))
      .then(
        responses => this.onResponses(batch, responses),
        error => this.onFailure(batch, error),
      );
  }

  private onResponses(batch: Batch, responses: readonly unknown[]): void {
    // guards: channel.onResponses
    const refusal = batch.calls.length > 0 ? refusalIn(responses) : undefined;
    if (refusal !== undefined) this.inFlight.refused(batch, refusal);
    else this.onExecuted(batch, responses);
    this.goOn();
  }

  private onExecuted(batch: Batch, responses: readonly unknown[]): void {
    this.inFlight.executed(batch);
    // guards: channel.onExecuted
    for (const [index, call] of batch.calls.entries()) settle(call, responses[index]);
    this.options.onRead();
    if (batch.calls.length === 0) this.onAccepted();
  }

  private onFailure(batch: Batch, error: Error): void {
    // guards: channel.onFailure
    if (isRefusal(error.message) || isNeverSent(error.message)) this.inFlight.refused(batch, error.message);
    else {
      this.inFlight.failed(batch);
      rejectAll(batch, meaningOf(error));
      // The check failed for another reason, and the calls will fail for it in their turn.
      if (batch.calls.length === 0 && error.name === 'ReplyError') this.onAccepted();
    }
    this.goOn();
  }

  private goOn(): void {
    this.takeBack();
    if (this.waiting.length > 0) this.schedule();
    this.keepAlive?.set(!this.inFlight.isEmpty);
  }

  private onAccepted(): void {
    this.isAsking = false;
    this.isOpen = true;
    this.refusal = undefined;
    this.flush();
  }

  /** Once only refused batches are in flight, their calls go back to the head of those that wait, in order. */
  private takeBack(): void {
    const refused = this.inFlight.takeBack();
    if (!refused) return;
    this.waiting.unshift(...refused.calls);
    this.isAsking = false;
    if (this.closed) {
      this.rejectWaiting(() => true);
      return;
    }
    const serious = refused.refusals.find(refusal => !isUnknownScript(refusal));
    if (serious === undefined) this.writer.sendText();
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

  /** One timer while calls wait or are in flight: for their deadlines, and for a connection that hangs. */
  private watch(): void {
    if (this.watchdog || this.closed) return;
    this.watchdog = this.options.clock.after(this.options.watchMs, () => {
      this.watchdog = undefined;
      const { timeoutMs, watchMs, clock, redis } = this.options;
      this.inFlight.look(watchMs);
      if (this.isSilentFor(timeoutMs)) redis.disconnect(true);
      const now = clock.monotonicMs();
      // guards: channel.watch
      if (!this.isOpen || redis.status !== 'ready') this.rejectWaiting(call => now - call.madeAtMs >= timeoutMs);
      if (this.waiting.length > 0 || !this.inFlight.isEmpty) this.watch();
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
