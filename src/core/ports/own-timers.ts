/**
 * Node's timers and clocks, as they are before a test of an application replaces the global ones by fakes. No call, lease or
 * shutdown may wait for a timer that only a test moves.
 *
 * Owns: every timer and clock that this library uses; no other file names a global one (`test/unit/house.test.ts`).
 * Neighbours: `clock.ts` has the `Clock` that the engine is given; `store/redis/connection/own-redis.ts` does the same to ioredis.
 */
import * as performanceHooks from 'node:perf_hooks';
import * as timers from 'node:timers';

/** From Node's modules: Jest replaces global timers only, so these are real in a file that is loaded after its fakes. */
export const { setTimeout, clearTimeout, setImmediate } = timers;

const { performance } = performanceHooks;
const monotonic = performance.now;
const wall = Date.now;

/** Milliseconds since some fixed moment; never goes back. */
export const monotonicMs = (): number => monotonic.call(performance);

/** Milliseconds since 1970, by the clock of the machine; if `Date` was a fake already, by the clock at the start of the process. */
export const wallMs: () => number = isNative(wall) ? () => wall() : () => performance.timeOrigin + monotonicMs();

/** Resolves in the next turn of the event loop: data that has arrived meanwhile is read before. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

function isNative(given: () => number): boolean {
  return Function.prototype.toString.call(given).includes('[native code]');
}
