/** The core's ports onto this process: its clocks, and Nest's logger. */
import { Logger } from '@nestjs/common';
import { asLine } from '../core/error-text.js';
import { type Clock, LONGEST_TIMER_MS, type Log } from '../core/ports.js';

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, callback) {
    // Beyond the longest wait of a timer it would fire at once; whoever is called too early looks and waits again.
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Each message is one bounded line, whatever names and errors of users are in it. */
export function nestLog(): Log {
  const logger = new Logger('AtomicQueues');
  return {
    info: message => logger.log(asLine(message)),
    warn: message => logger.warn(asLine(message)),
    error: message => logger.error(asLine(message)),
  };
}
