/**
 * How long the start of an application waits for Redis, or with `lazyConnect` its first call.
 * Neighbours: `runtime.ts` calls this; `core/engine.ts` keeps connecting after the wait.
 */
import type { Engine } from '../../core/engine.js';
import { messageOf } from '../../core/model/errors.js';
import type { Log } from '../../core/ports/log.js';
import { holdingTimer } from './start-gate.js';

export interface FirstConnectionOptions {
  readonly timeoutMs: number;
  /** Whether to wait after a failed attempt: the application must ask Redis something before it starts. */
  readonly waitsForRetries: boolean;
  readonly log: Log;
  /** Aborted when the application shuts down. */
  readonly closing: AbortSignal;
}

/**
 * Resolves when Redis responds. Also resolves, with a warning, when the first attempt has failed or `timeoutMs` have passed: the
 * application then starts without Redis and works as soon as it is there. Rejects with errors that no retry can fix, such as wrong
 * credentials.
 */
export async function firstConnection(engine: Engine, options: FirstConnectionOptions): Promise<void> {
  const { timeoutMs, waitsForRetries, log, closing } = options;
  const lack = await new Promise<string | undefined>((resolve, reject) => {
    const timer = holdingTimer(timeoutMs, () => end(`no response within ${timeoutMs} ms`));
    const end = (why?: string) => {
      timer.cancel();
      resolve(why);
    };
    closing.addEventListener('abort', () => end(), { once: true });
    // guards: first-connection.firstConnection
    const connecting = engine.connect(reason => waitsForRetries || end(reason));
    connecting.then(
      () => end(),
      // No connection may keep trying, however late this fails.
      error => {
        timer.cancel();
        void engine.close().finally(() => reject(error));
      },
    );
  });
  if (lack === undefined) return;
  log.warn(`Redis can't be reached (${lack}). The application starts without it, and the library keeps trying.`);
  engine
    .connect()
    .catch(error => closing.aborted || log.error(`Connecting to Redis failed and is not retried: ${messageOf(error)}`));
}
