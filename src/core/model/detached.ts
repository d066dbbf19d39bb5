/**
 * The engine's own asynchronous context, which is no caller's: everything of an AsyncLocalStorage that a caller is in ends where
 * control passes to the engine. Otherwise a worker, its timers and the handlers of other callers' jobs would run in the context of
 * the caller whose call happened to start them, and would keep it in memory.
 */
import { AsyncResource } from 'node:async_hooks';

const NAME = 'atomic-queues';

/** Made as this module is loaded: outside of every request. */
const ROOT = new AsyncResource(NAME);

/**
 * Runs something outside of every caller's context. Each run has a resource of its own: on Node 22 and older `enterWith` writes into
 * the present one, which the next run must not find.
 */
export function detached<T>(run: () => T): T {
  // guards: detached.detached
  return ROOT.runInAsyncScope(runInOwn, undefined, run) as T;
}

function runInOwn(run: () => unknown): unknown {
  // guards: detached.runInOwn
  return new AsyncResource(NAME).runInAsyncScope(run);
}
