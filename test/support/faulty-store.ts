/**
 * A store between an engine and the real one, in which a test breaks single calls.
 * All other calls pass through, and return the promise of the real store itself.
 */
import { OutcomeUnknownError, StoreUnavailableError } from '../../src/core/model/store-errors.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { gate } from './wait.js';

const STEPS = ['add', 'tryClaim', 'resync', 'take', 'finish', 'giveBack', 'release', 'defer', 'renew'] as const;
type Method = (typeof STEPS)[number];

/**
 * `lose`: it is executed, and its response never comes. `drop`: it is not executed, and no response comes.
 * `refuse`: it is not executed, and says so. `hold`: it is executed, and its response comes when the test opens the gate.
 * `delay`: it is executed when the test opens the gate.
 */
export type Fault = 'lose' | 'drop' | 'refuse' | { readonly hold: Promise<void> } | { readonly delay: Promise<void> };

export class FaultyStore {
  readonly calls: string[] = [];
  /** The arguments of the last call of each method. */
  readonly lastArguments = new Map<string, readonly unknown[]>();
  private readonly once = new Map<Method, Fault[]>();
  private readonly hooks = new Map<string, () => void>();
  private outage: Fault | undefined;
  silent = false;

  constructor(private readonly real: EntityStore) {}

  /** Breaks the next call of a method. */
  next(method: Method, fault: Fault): void {
    this.once.set(method, [...(this.once.get(method) ?? []), fault]);
  }

  /** Runs something right before the next call of a method. */
  before(method: keyof EntityStore, run: () => void): void {
    this.hooks.set(method, run);
  }

  /** Breaks every call until {@link mend}. */
  break(fault: Fault): void {
    this.outage = fault;
  }

  mend(): void {
    this.outage = undefined;
  }

  /** Holds the next response of a method; call the result to let it through. */
  hold(method: Method): () => void {
    const { promise, open } = gate();
    this.next(method, { hold: promise });
    return () => open();
  }

  /** Delays the next call of a method; call the result to let it through. */
  delay(method: Method): () => void {
    const { promise, open } = gate();
    this.next(method, { delay: promise });
    return () => open();
  }

  asStore(): EntityStore {
    return new Proxy(this.real, {
      get: (real, name: keyof EntityStore) => {
        if (['control', 'deadLetters', 'schedules', 'replies', 'hosts'].includes(name)) return real[name];
        if (name === 'isSilentFor') return (ms: number) => this.silent || real.isSilentFor(ms);
        const method = real[name] as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) => {
          this.calls.push(name);
          const hook = this.hooks.get(name);
          this.hooks.delete(name);
          hook?.();
          this.lastArguments.set(name, args);
          const fault = this.once.get(name as Method)?.shift() ?? (isStep(name) ? this.outage : undefined);
          return fault ? broken(fault, () => method.apply(real, args)) : method.apply(real, args);
        };
      },
    });
  }
}

function isStep(name: string): boolean {
  return (STEPS as readonly string[]).includes(name);
}

async function broken(fault: Fault, call: () => Promise<unknown>): Promise<unknown> {
  const lost = new OutcomeUnknownError('the connection broke');
  if (fault === 'drop') throw lost;
  if (fault === 'refuse') throw new StoreUnavailableError('not sent in time');
  if (typeof fault === 'object' && 'delay' in fault) {
    await fault.delay;
    return call();
  }
  const answer = call();
  if (fault === 'lose') {
    await answer.catch(() => {});
    throw lost;
  }
  await fault.hold;
  return answer;
}
