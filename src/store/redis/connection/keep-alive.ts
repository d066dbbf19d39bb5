/**
 * Whether a connection keeps the process alive: its socket, and the timer of its next try.
 * Neighbour: `connection.ts` has all other settings. ioredis has no setting for this one, so its own fields are used.
 */
import type { Redis } from 'ioredis';

interface Held {
  ref(): unknown;
  unref(): unknown;
}

export class KeepAlive {
  private isWanted = false;

  /**
   * From now on the connection does not keep the process alive, also when it is replaced. It ends when no sentinel answers: then nothing
   * tells where Redis is.
   */
  constructor(private readonly redis: Redis) {
    // ioredis waits for the next round of the sentinels with a timer of its own, over and over while none of them answers.
    redis.options.sentinelRetryStrategy = () => null;
    this.apply();
    for (const event of ['connect', 'reconnecting']) redis.on(event, () => this.apply());
  }

  /** While an answer is owed, say. */
  set(isWanted: boolean): void {
    if (isWanted === this.isWanted) return;
    this.isWanted = isWanted;
    this.apply();
  }

  private apply(): void {
    const { stream, reconnectTimeout } = this.redis as unknown as { stream?: Held; reconnectTimeout?: Held | null };
    if (this.isWanted) stream?.ref();
    else stream?.unref();
    // While Redis is away there is no answer to wait for.
    reconnectTimeout?.unref();
  }
}
