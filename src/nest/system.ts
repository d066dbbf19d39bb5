/** The core's ports to this process: its clocks and Nest's logger, and whether a test runner has started it. */
import { hostname } from 'node:os';
import { Logger } from '@nestjs/common';
import { asLine } from '../core/model/error-text.js';
import { type Clock, MAX_TIMER_MS } from '../core/ports/clock.js';
import type { Log } from '../core/ports/log.js';
import { clearTimeout, monotonicMs, setTimeout, wallMs } from '../core/ports/own-timers.js';

export const systemClock: Clock = {
  monotonicMs,
  wallMs,
  after(ms, callback) {
    // A timer above the maximum would fire at once. A callback that is called too early checks the time and waits again.
    const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Each message is one bounded line, also with names and errors of the application in it. */
export function nestLog(): Log {
  const logger = new Logger('AtomicQueues');
  return {
    info: message => logger.log(asLine(message)),
    // guards: system.nestLog
    warn: message => logger.warn(asLine(message)),
    error: message => logger.error(asLine(message)),
  };
}

/** Environment variables that test runners set: Jest, Vitest and Node's own. */
const TEST_RUNNERS = ['JEST_WORKER_ID', 'VITEST_WORKER_ID', 'NODE_TEST_CONTEXT'];

/** The name of this process, `host:pid`, if a test runner has started it. */
export function testProcess(): string | undefined {
  return TEST_RUNNERS.some(name => process.env[name]) ? `${hostname()}:${process.pid}` : undefined;
}
