/**
 * Fails a file whose tests leave something running: a timer of the library (which keeps no process alive and would go unnoticed), a
 * socket, or a child process. It checks before the file's own top-level `afterAll`, so clean up in a `describe`.
 * Neighbour: `leaks-in-redis.mjs` checks what is left in Redis.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { eventually } from './wait.js';

/** Kinds of resources that outlive a test only by mistake. */
const KINDS = ['TCPSocketWrap', 'TCPServerWrap', 'ProcessWrap', 'Timeout'];

/** Every timer that is set, with its stack. Stacks are slow to write out, so this is done only for timers that are left. */
const timers = new Map<unknown, Error>();
const originsInLibrary = () =>
  [...timers.values()].flatMap(
    ({ stack }) =>
      stack
        ?.split('\n')
        .find(line => line.includes('/src/'))
        ?.trim() ?? [],
  );
const { setTimeout: set, clearTimeout: clear } = globalThis;
const threads = new Set<Worker>();
const onThread = (message: unknown) => threads.add((message as { worker: Worker }).worker);
diagnostics.subscribe('worker_threads', onThread);
/** A thread that has ended has no id any more. */
const liveThreads = () => [...threads].filter(({ threadId }) => threadId !== -1).map(() => 'thread');
const held = () => process.getActiveResourcesInfo().filter(kind => KINDS.includes(kind));
/** How many were there before the file's own code; the hook that looks has a timer of its own. */
const before = Math.max(held().length, 1);

function watchedSet(callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) {
  const timer = set(() => {
    timers.delete(timer);
    callback(...args);
  }, ms);
  timers.set(timer, new Error());
  return timer;
}

function watchedClear(timer: unknown) {
  timers.delete(timer);
  clear(timer as never);
}

// The library takes those of Node's module, when it is loaded; ioredis takes the global ones.
const nodeTimers = process.getBuiltinModule('node:timers');
for (const holder of [globalThis, nodeTimers])
  Object.assign(holder, { setTimeout: watchedSet, clearTimeout: watchedClear });

/** Each storage that has been used slows down every promise of the process, also in the files that follow. */
const storages = new Set<AsyncLocalStorage<unknown>>();
const { run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.run = function watchedRun(this: AsyncLocalStorage<unknown>, ...args: never) {
  storages.add(this);
  return run.apply(this, args);
} as typeof run;

afterAll(async () => {
  AsyncLocalStorage.prototype.run = run;
  for (const storage of storages) storage.disable();
  Object.assign(nodeTimers, { setTimeout: set, clearTimeout: clear });
  diagnostics.unsubscribe('worker_threads', onThread);
  const left = () => [...originsInLibrary(), ...liveThreads(), ...held().slice(before)];
  // A socket closes only with its other side; that takes a moment.
  await eventually('all that the tests started has ended', () => left().length === 0, 5000).catch(() => {
    throw new Error(`Tests of this file left running:\n  ${left().join('\n  ')}`);
  });
});
