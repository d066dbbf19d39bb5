/** What every role of one Redis store works with. Neighbour: `redis-store.ts` makes it, once for all roles. */
import type { EngineConfig } from '../../core/options/config.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Log } from '../../core/ports/log.js';
import type { Bull } from './bullmq/encode.js';
import type { Channel } from './connection/channel.js';
import type { KeySpace } from './keys.js';

export interface StoreContext {
  readonly config: EngineConfig;
  readonly podId: string;
  readonly keySpace: KeySpace;
  /** BullMQ's encodings of what the scripts read. */
  readonly bull: Bull;
  /** Sends the steps. */
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Log;
}
