/**
 * How long the start of an application, or the first call of one that connects lazily, waits for Redis.
 * Neighbours: `runtime.ts` says when; `core/engine.ts` goes on connecting after the wait.
 */
import type { Engine } from '../../core/engine.js';
import { messageOf } from '../../core/model/errors.js';
import type { Log } from '../../core/ports/log.js';
import { holdingTimer } from './start-gate.js';

export interface FirstConnectionOptions {
  readonly timeoutMs: number;
  /** Waits on when an attempt has failed: something is to be asked of Redis before the application starts. */
  readonly waitsForRetries: boolean;
  readonly log: Log;
  /** Aborted when the application shuts down. */
  readonly closing: AbortSignal;
}

/**
 * Resolves when Redis answers, and also, with a warning, when the first attempt has failed or `timeoutMs` have passed: then an
 * application comes up without Redis, and works as soon as it is there. Rejects with what no retry can mend, such as wrong credentials.
 */
export async function firstConnection(engine: Engine, options: FirstConnectionOptions): Promise<void> {
  const { timeoutMs, waitsForRetries, log, closing } = options;
  const lack = await new Promise<string | undefined>((resolve, reject) => {
    const timer = holdingTimer(timeoutMs, () => end(`no answer within ${timeoutMs} ms`));
    const end = (why?: string) => {
      timer.cancel();
      resolve(why);
    };
    closing.addEventListener('abort', () => end(), { once: true });
    // guards: first-connection.firstConnection
    const connecting = engine.connect(reason => waitsForRetries || end(reason));
    connecting.then(
      () => end(),
      // However late it fails, no connection may go on trying.
      error => {
        timer.cancel();
        void engine.close().finally(() => reject(error));
      },
    );
  });
  if (lack === undefined) return;
  log.warn(`Redis can't be reached (${lack}); the application goes on without it, and the library keeps trying.`);
  engine.connect().catch(error => closing.aborted || log.error(`Not connected: ${messageOf(error)}`));
}
