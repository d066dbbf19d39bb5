/** An entity as Redis has it, jobs by the number that the walk gave them. */
import type { EntityRef } from '../../../src/core/model/entity.js';
import type { RedisCluster } from '../redis-cluster.js';
import type { Snapshot } from './snapshot.js';

/** @param numberOf what a job id of this entity means at this moment. */
export async function snapshotOfRedis(
  cluster: RedisCluster,
  entity: EntityRef,
  numberOf: (id: string) => number,
): Promise<Snapshot> {
  const base = cluster.base(entity);
  const answers = await cluster.redis
    .pipeline()
    .hmget(`${base}:$:worker`, 'owner', 'epoch', 'until', 'token', 'hold', 'rests')
    .lrange(`${base}:wait`, '0', '-1')
    .lrange(`${base}:active`, '0', '-1')
    .zrange(`${base}:delayed`, '0', '-1')
    .zrange(`${base}:failed`, '0', '-1')
    .hget(`${base}:meta`, 'paused')
    .exec();
  const [claim, wait, active, delayed, failed, paused] = (answers ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
  const [podId, epoch, until, token, hold, rests] = claim as (string | null)[];
  const isHeard = !rests || (await cluster.redis.exists(`${cluster.prefix}:$:pod:${podId}:alive`)) === 1;
  const untilMs = isHeard ? Number(until) / 1000 : 0;
  // BullMQ's lists are newest first.
  const oldestFirst = (ids: unknown) => (ids as string[]).reverse().map(numberOf);
  const activeIds = (active as string[]).toReversed();
  const starts = await Promise.all(activeIds.map(id => cluster.redis.hget(`${base}:${id}`, 'ats')));
  return {
    owner: podId ? { podId, epoch: Number(epoch), untilMs } : undefined,
    token: Number(token ?? 0),
    wait: oldestFirst(wait),
    active: activeIds.map(numberOf),
    starts: starts.map(Number),
    delayed: (delayed as string[]).map(numberOf),
    failed: (failed as string[]).map(numberOf),
    paused: paused !== null,
    hold: hold ? { n: numberOf(hold.split(':').slice(3).join(':')), untilMs: Number.parseInt(hold, 10) } : undefined,
  };
}
