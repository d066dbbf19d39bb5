/**
 * Whether a connection keeps the process alive: its socket, and the timer of its next attempt. ioredis has no setting for it, so its
 * own fields are used. Neighbour: `connection.ts` has all other settings.
 */
import type { Redis } from 'ioredis';

interface Held {
  ref(): unknown;
  unref(): unknown;
}

export class KeepAlive {
  private isWanted = false;

  /**
   * From now on the connection does not keep the process alive, even when it is replaced. It ends if no sentinel responds, since the
   * address of Redis is unknown then.
   */
  constructor(private readonly redis: Redis) {
    // While no sentinel responds, ioredis waits for the next round with a timer of its own, again and again.
    redis.options.sentinelRetryStrategy = () => null;
    this.apply();
    for (const event of ['connect', 'reconnecting']) redis.on(event, () => this.apply());
  }

  /** Wanted while a response is pending, for example. */
  set(isWanted: boolean): void {
    if (isWanted === this.isWanted) return;
    this.isWanted = isWanted;
    this.apply();
  }

  private apply(): void {
    const { stream, reconnectTimeout } = this.redis as unknown as { stream?: Held; reconnectTimeout?: Held | null };
    if (this.isWanted) stream?.ref();
    else stream?.unref();
    // While Redis is away, there is no response to wait for.
    reconnectTimeout?.unref();
  }
}
