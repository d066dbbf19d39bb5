/** Jobs by the hundred thousand, planted in a script, as adding them would have left them. */
import type { Redis } from 'ioredis';

const AT_ONCE = 10_000;

const PLANT = `
local B, from, count, list, options = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
for n = from, from + count - 1 do
  redis.call('HSET', B .. ':' .. n, 'name', 'work', 'data', '{"n":' .. n .. '}', 'opts', options, 'timestamp', '1', 'delay', '0',
    'priority', '0')
  redis.call('LPUSH', B .. ':' .. list, n)
end
redis.call('SET', B .. ':id', from + count - 1)
redis.call('HSET', B .. ':meta', 'opts.maxLenEvents', '10000')
`;

/** Numbers them from 1, as their ids; in `active` they are as a dead owner has left them. */
export async function plantJobs(
  redis: Redis,
  base: string,
  count: number,
  list: 'wait' | 'active' = 'wait',
): Promise<void> {
  for (let from = 1; from <= count; from += AT_ONCE) {
    await redis.eval(
      PLANT,
      1,
      base,
      from,
      Math.min(AT_ONCE, count - from + 1),
      list,
      '{"attempts":1,"removeOnComplete":true}',
    );
  }
}

const PLANT_LETTERS = `
local S, from, count, entities = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for n = from, from + count - 1 do
  redis.call('HSET', S .. ':' .. n, 'name', 'work', 'data', '{"n":' .. n .. '}', 'opts', '{"attempts":1,"removeOnComplete":true}', 'timestamp', '1', 'atm', '1',
    'ats', '1', 'finishedOn', '1', 'entity', 'dead' .. n % entities, 'jobId', n, 'failedReason', 'because', 'stacktrace', '[]')
  redis.call('ZADD', S .. ':failed', n, n)
end
redis.call('SET', S .. ':id', from + count - 1)
`;

/** Dead letters of a type, of a number of entities in turn: `dead0`, `dead1` … */
export async function plantLetters(redis: Redis, base: string, count: number, entities: number): Promise<void> {
  for (let from = 1; from <= count; from += AT_ONCE) {
    await redis.eval(PLANT_LETTERS, 1, base, from, Math.min(AT_ONCE, count - from + 1), entities);
  }
}
