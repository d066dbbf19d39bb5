/** The core's ports onto this process: its clocks, and Nest's logger. */
import { Logger } from '@nestjs/common';
import type { Clock, Log } from '../core/ports.js';

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export function nestLog(): Log {
  const logger = new Logger('AtomicQueues');
  return {
    info: message => logger.log(message),
    warn: message => logger.warn(message),
    error: message => logger.error(message),
  };
}
