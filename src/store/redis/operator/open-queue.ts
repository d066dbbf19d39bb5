/** A BullMQ `Queue` of an entity, for tools that want one. Neighbour: `connection.ts` says where Redis is. */
import { Queue } from 'bullmq';
import type { QueueLocation } from '../../../core/ports/operator.js';
import { sendableElsewhere } from '../connection/connection.js';
import { type RedisConnectionOptions } from '../connection/options.js';

/** It has a connection of its own, which its `close()` ends. */
export function openQueue({ name, prefix }: QueueLocation, redis: RedisConnectionOptions): Queue {
  return new Queue(name, { prefix, connection: sendableElsewhere(redis) as never });
}
