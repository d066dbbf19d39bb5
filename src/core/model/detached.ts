/**
 * The engine's own asynchronous context. Every AsyncLocalStorage of a caller ends at the entry to the engine. Otherwise a worker, its timers
 * and the handlers of other callers' jobs would run in the context of the call that happened to start them, and keep it in memory.
 */
import { AsyncResource } from 'node:async_hooks';

const NAME = 'atomic-queues';

/** Created when this module is loaded, outside of every request. */
const ROOT = new AsyncResource(NAME);

/**
 * Runs a function outside of every caller's context. Each run has a resource of its own: on Node 22 and older `enterWith` writes into the
 * current one, which the next run must not see.
 */
export function detached<T>(run: () => T): T {
  // guards: detached.detached
  return ROOT.runInAsyncScope(runInOwn, undefined, run) as T;
}

function runInOwn(run: () => unknown): unknown {
  // guards: detached.runInOwn
  return new AsyncResource(NAME).runInAsyncScope(run);
}
