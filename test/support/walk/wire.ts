/**
 * One connection of a pod to the store, and those that come after it. As the port promises, calls take effect in the
 * order in which they are made, and their responses come in that order; calls of one tick share their fate.
 *
 * Owns what is on its way: calls that wait for a connection, batches that are sent, responses that have not arrived.
 * When it breaks, the outcome of all calls that were sent is "unknown", and some of them may still be executed later.
 */
import { OutcomeUnknownError, StoreRefusedError, StoreUnavailableError } from '../../../src/core/model/store-errors.js';
import type { Moment } from '../../../src/core/run/lease.js';
import type { Random } from '../random.js';
import type { WalkTime } from './time.js';

export interface Call {
  readonly method: string;
  readonly args: readonly unknown[];
  readonly sentAt: Moment;
  readonly madeAtMs: number;
  /** Both are told to the pod, which may be unable to listen. */
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export type Outcome = { readonly value: unknown } | { readonly error: Error };

interface Batch {
  readonly calls: readonly Call[];
  /** Refused, and not executed. */
  readonly refused: Set<Call>;
  executed: boolean;
  outcomes: readonly Outcome[] | undefined;
  /** The response may be delivered. */
  arrived: boolean;
}

export type Trap = {
  readonly method: string;
  readonly kind: 'drop' | 'lose' | 'late' | 'hold' | 'refuse';
};

export interface WireParts {
  readonly time: WalkTime;
  readonly random: Random;
  /** Runs a batch in the store, at once; its outcomes come within the tick. */
  readonly execute: (calls: readonly Call[]) => Promise<readonly Outcome[]>;
  /** The pod's event loop is blocked, or the pod is dead. */
  readonly isDeaf: () => boolean;
  readonly timeoutMs: number;
}

/** Calls that were sent on a broken connection are executed by then, or never. */
export const LATEST_MS = 4000;

export class Wire {
  private mode: 'up' | 'slow' | 'hung' | 'down' | 'closed' = 'up';
  private waiting: Call[] = [];
  private inFlight: Batch[] = [];
  private lagMs = 0;
  private trap: Trap | undefined;
  private generation = 0;
  private heardAtMs = 0;

  constructor(private readonly parts: WireParts) {}

  get isDown(): boolean {
    return this.mode === 'down' || this.mode === 'closed' || this.mode === 'hung';
  }

  call(call: Call): void {
    if (this.mode === 'closed') call.reject(new StoreUnavailableError('closed'));
    else this.waiting.push(call);
  }

  setTrap(trap: Trap): void {
    this.trap = trap;
  }

  /** Sends what has been called in this tick. @returns whether anything was sent. */
  flush(): boolean {
    if (this.waiting.length === 0 || this.mode === 'down' || this.parts.isDeaf()) return false;
    const calls = this.waiting.splice(0);
    const batch: Batch = { calls, refused: new Set(), executed: false, outcomes: undefined, arrived: false };
    if (this.inFlight.length === 0) this.heardAtMs = this.parts.time.nowMs;
    this.inFlight.push(batch);
    if (this.trap && batch.calls.some(call => call.method === this.trap?.method)) this.spring(this.trap, batch);
    else this.forward(batch);
    return true;
  }

  slow(lagMs: number): void {
    this.mode = 'slow';
    this.lagMs = lagMs;
  }

  /** Nothing moves any more, and the pod is not told, until it gives the connection up. */
  hang(): void {
    this.mode = 'hung';
    this.generation++;
    this.after(this.parts.timeoutMs * (1 + this.parts.random.next()), () => this.sever(0, 'some'));
  }

  /** The connection breaks. `late`: how many of the calls that were sent are executed later. */
  sever(downMs: number, late: 'none' | 'some' | 'all'): void {
    const { time, random } = this.parts;
    const unsent = this.inFlight.filter(batch => !batch.executed);
    const survivors = late === 'none' ? 0 : late === 'all' ? unsent.length : random.int(0, unsent.length);
    let lateMs = 0;
    for (const batch of unsent.slice(0, survivors)) {
      lateMs = Math.min(LATEST_MS, lateMs + (random.chance(0.5) ? 0 : random.int(1, LATEST_MS)));
      time.after(lateMs, () => void this.parts.execute(batch.calls.filter(call => !batch.refused.has(call))));
    }
    this.mode = 'down';
    this.generation++;
    for (const batch of this.inFlight.splice(0)) {
      for (const call of batch.calls) call.reject(new OutcomeUnknownError('the connection broke'));
    }
    if (downMs === 0) this.mend();
    else {
      this.after(downMs, () => this.mend());
      this.watch();
    }
  }

  /** No faults from now on. */
  mend(): void {
    if (this.mode === 'closed') return;
    this.mode = 'up';
    this.trap = undefined;
    this.generation++;
    const last = this.inFlight.at(-1);
    if (last) this.pass(last);
  }

  close(): void {
    this.sever(0, 'some');
    this.mode = 'closed';
    for (const call of this.waiting.splice(0)) call.reject(new StoreUnavailableError('closed'));
  }

  /** Responses are pending, and none has come for that long. */
  isSilentFor(ms: number): boolean {
    return this.inFlight.length > 0 && this.parts.time.nowMs - this.heardAtMs >= ms;
  }

  /** The pod can listen again. */
  listen(): void {
    this.heardAtMs = this.parts.time.nowMs;
    this.deliver();
  }

  private spring({ method, kind }: Trap, batch: Batch): void {
    this.trap = undefined;
    const { random } = this.parts;
    const downMs = random.chance(0.6) ? 0 : random.int(1, 4000);
    if (kind === 'hold') {
      this.runThrough(batch);
      this.after(random.int(1, 4000), () => this.arrive(batch));
    } else if (kind === 'refuse' && (method === 'add' || this.isClear)) {
      // A refusal that is on its way while later calls are accepted is nothing that a store does, but to an add.
      // An add is refused alone, as by a limit of its own; else all calls of the tick are.
      for (const call of batch.calls) if (method !== 'add' || call.method === 'add') batch.refused.add(call);
      this.forward(batch);
    } else if (kind === 'lose') {
      this.runThrough(batch);
      this.sever(downMs, 'none');
    } else this.sever(downMs, kind === 'late' ? 'all' : 'none');
  }

  /** Calls that are sent now have their responses now. */
  private get isClear(): boolean {
    return this.mode === 'up' && this.inFlight.length === 1;
  }

  private forward(batch: Batch): void {
    if (this.mode === 'up') this.pass(batch);
    else if (this.mode === 'slow') this.passLater(batch, this.lagMs);
  }

  private pass(batch: Batch): void {
    this.runThrough(batch);
    this.arrive(batch);
  }

  private passLater(batch: Batch, lagMs: number): void {
    const { random } = this.parts;
    const lag = () => (random.chance(0.3) ? 0 : random.int(0, lagMs));
    this.after(lag(), () => {
      this.runThrough(batch);
      this.after(lag(), () => this.arrive(batch));
    });
  }

  /** The server gets everything up to this batch. */
  private runThrough(batch: Batch): void {
    for (const earlier of this.inFlight.slice(0, this.inFlight.indexOf(batch) + 1)) {
      if (earlier.executed) continue;
      earlier.executed = true;
      const executed = earlier.calls.filter(call => !earlier.refused.has(call));
      void this.parts.execute(executed).then(outcomes => {
        const error = new StoreRefusedError('refused');
        earlier.outcomes = earlier.calls.map(call => outcomes[executed.indexOf(call)] ?? { error });
        this.deliver();
      });
    }
  }

  private arrive(batch: Batch): void {
    for (const earlier of this.inFlight.slice(0, this.inFlight.indexOf(batch) + 1)) earlier.arrived = true;
    this.deliver();
  }

  private deliver(): void {
    if (this.parts.isDeaf()) return;
    for (let first = this.inFlight[0]; first?.arrived && first.outcomes; first = this.inFlight[0]) {
      this.inFlight.shift();
      this.heardAtMs = this.parts.time.nowMs;
      for (const [at, outcome] of first.outcomes.entries()) {
        const call = first.calls[at];
        if ('error' in outcome) call?.reject(outcome.error);
        else call?.resolve(outcome.value);
      }
    }
  }

  /** Calls that wait for a connection for too long are refused. */
  private watch(): void {
    this.after(this.parts.timeoutMs / 4, () => {
      const oldest = this.parts.time.nowMs - this.parts.timeoutMs;
      while (this.waiting[0] && this.waiting[0].madeAtMs <= oldest)
        this.waiting.shift()?.reject(new StoreUnavailableError('not sent in time'));
      this.watch();
    });
  }

  /** Unless the connection is another one by then. */
  private after(ms: number, run: () => void): void {
    const { generation } = this;
    this.parts.time.after(ms, () => {
      if (generation === this.generation) run();
    });
  }
}
