/**
 * Renewal of claims, a script of its own on a connection of its own: behind thousands of queued commands it would
 * arrive after the lease has run out.
 *
 * KEYS  none
 * ARGV  podId leaseUs systemPrefix nTypes type… | (B T I epoch idle lockMs runningJobId)*
 * Returns {lost positions, kicked positions}, from 0
 *
 * A renewal never brings a claim back: a hash that is gone, or another's, is lost (race 24).
 */
export const renewLua = /* lua */ `
local pod, leaseUs, sys, nTypes = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
local lost, kicked = {}, {}
for k = 5, 4 + nTypes do
  local key = sys .. 'pods:' .. ARGV[k]
  redis.call('ZADD', key, string.format('%.0f', nowUs), pod)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs - 10 * leaseUs))
  redis.call('PEXPIRE', key, math.floor(leaseUs / 100))
end
local position = 0
for k = 5 + nTypes, #ARGV, 7 do
  local B, T, I, epoch, idle, lockMs, running = ARGV[k], ARGV[k + 1], ARGV[k + 2], ARGV[k + 3], ARGV[k + 4], ARGV[k + 5], ARGV[k + 6]
  local c = redis.call('HMGET', B .. ':$:worker', 'owner', 'epoch')
  -- a later epoch is ours too: a resync whose answer is still on its way
  if c[1] ~= pod or tonumber(c[2]) < tonumber(epoch) then
    lost[#lost + 1] = position
  else
    local untilUs = string.format('%.0f', nowUs + leaseUs)
    redis.call('HSET', B .. ':$:worker', 'until', untilUs)
    redis.call('ZADD', sys .. 'due:' .. T, untilUs, I)
    if running ~= '' then redis.call('SET', B .. ':' .. running .. ':lock', 'aq:' .. pod, 'PX', lockMs, 'XX') end
    if idle == '1' then
      local work = redis.call('EXISTS', B .. ':wait', B .. ':active', B .. ':prioritized') > 0
      if not work then
        local first = redis.call('ZRANGE', B .. ':delayed', 0, 0, 'WITHSCORES')
        work = first[2] and tonumber(first[2]) / 0x1000 <= nowUs / 1000
      end
      if work and redis.call('HEXISTS', B .. ':meta', 'paused') == 0 then kicked[#kicked + 1] = position end
    end
  end
  position = position + 1
end
return {lost, kicked}
`;
