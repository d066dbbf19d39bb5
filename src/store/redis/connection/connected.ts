/** The wait for the first connection at the start of a store. Neighbour: `connection.ts` makes connections. */
import type { Redis } from 'ioredis';
import { messageOf } from '../../../core/model/errors.js';
import { AuthenticationError, StoreUnavailableError } from '../../../core/model/store-errors.js';
import { setImmediate } from '../../../core/ports/own-timers.js';
import { addressOf, isAuthenticationError, reasonOf } from './call-words.js';

/**
 * Resolves when Redis responds on the connection. Rejects if no retry can help: Redis refuses the credentials, or ioredis gave up.
 * @param onUnreachable is told of each attempt that failed and is repeated.
 */
export function connected(redis: Redis, onUnreachable: (reason: string) => void = () => {}): Promise<void> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const settle = (error?: Error) => {
      isSettled = true;
      redis.off('ready', onReady);
      redis.off('error', onError);
      if (error) reject(error);
      else resolve();
    };
    const onError = (error: Error) => {
      if (isAuthenticationError(error)) {
        settle(
          new AuthenticationError(
            `Redis at ${addressOf(redis.options)} refused the credentials (${reasonOf(error)}); check username and password.`,
            { cause: error },
          ),
        );
        return;
      }
      // ioredis decides after this event whether it tries again.
      setImmediate(() => isSettled || onUnreachable(messageOf(error)));
    };
    const onReady = () => {
      redis.client('ID').then(
        () => settle(),
        error => {
          onError(error);
          // Any other error of Redis is a response. Without a response this waits for the next connection.
          if (error.name === 'ReplyError') settle();
        },
      );
    };
    const onFailure = (error: Error) => {
      if (redis.status !== 'end') return;
      settle(new StoreUnavailableError(`No connection to Redis can be made (${messageOf(error)}).`, { cause: error }));
    };
    redis.on('ready', onReady);
    redis.on('error', onError);
    // 'error' events report a first attempt that fails. ioredis tries again, unless Node could not even begin to connect.
    // guards: connected.connected
    if (redis.status === 'wait') redis.connect().catch(onFailure);
    else if (redis.status === 'ready') settle();
  });
}
