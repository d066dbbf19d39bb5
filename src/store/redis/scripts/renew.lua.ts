/**
 * Renewal of claims, a script of its own on a connection of its own: behind thousands of queued commands it would
 * arrive after the lease has run out.
 *
 * KEYS  none
 * ARGV  podId leaseUs systemPrefix workers takesMore nTypes type… | (B T I epoch idle lockMs nRunning jobId…)*
 * Returns {lost positions, kicked positions, for each type {pods that take more, entities that they work}}, from 0
 *
 * A renewal never brings a claim back: a hash that is gone, or another's, is lost (race 24).
 */
export const renewLua = /* lua */ `
local pod, leaseUs, sys, workers, takesMore, nTypes = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
local lost, kicked, loads = {}, {}, {}
local STATES = {':wait', ':active', ':prioritized', ':delayed'}
local function load(id) return sys .. 'pod:' .. id .. ':load' end
redis.call('SET', load(pod), workers, 'PX', math.floor(leaseUs / 100))
for k = 7, 6 + nTypes do
  local key = sys .. 'pods:' .. ARGV[k]
  if takesMore then
    redis.call('ZADD', key, string.format('%.0f', nowUs), pod)
  else
    redis.call('ZREM', key, pod)
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs - 10 * leaseUs))
  redis.call('PEXPIRE', key, math.floor(leaseUs / 100))
  local sum, pods = 0, redis.call('ZRANGEBYSCORE', key, string.format('%.0f', nowUs - leaseUs), '+inf')
  for _, id in ipairs(pods) do sum = sum + tonumber(redis.call('GET', load(id)) or '0') end
  loads[#loads + 1] = {#pods, sum}
end

local untilUs = string.format('%.0f', nowUs + leaseUs)
-- the entities of each type whose time moves on; the idle ones, and where their jobs would be
local due, idlers, places = {}, {}, {}
local position, k = 0, 7 + nTypes
while k <= #ARGV do
  local B, T, I, epoch, idle, lockMs, nRunning = ARGV[k], ARGV[k + 1], ARGV[k + 2], ARGV[k + 3], ARGV[k + 4], ARGV[k + 5], tonumber(ARGV[k + 6])
  local c = redis.call('HMGET', B .. ':$:worker', 'owner', 'epoch')
  -- a later epoch is ours too: a resync whose answer is still on its way
  if c[1] ~= pod or tonumber(c[2]) < tonumber(epoch) then
    lost[#lost + 1] = position
  else
    redis.call('HSET', B .. ':$:worker', 'until', untilUs)
    due[T] = due[T] or {}
    due[T][#due[T] + 1] = untilUs
    due[T][#due[T] + 1] = I
    for r = k + 7, k + 6 + nRunning do
      redis.call('SET', B .. ':' .. ARGV[r] .. ':lock', 'aq:' .. pod, 'PX', lockMs, 'XX')
    end
    if idle == '1' then
      idlers[#idlers + 1] = {B, position}
      for _, state in ipairs(STATES) do places[#places + 1] = B .. state end
    end
  end
  position = position + 1
  k = k + 7 + nRunning
end
for T, moved in pairs(due) do redis.call('ZADD', sys .. 'due:' .. T, unpack(moved)) end

-- Whether all waits for the next try of the head; its worker knows until when.
local function isHeld(B)
  if redis.call('EXISTS', B .. ':active') == 1 then return false end
  local hold = redis.call('HGET', B .. ':$:worker', 'hold') or ''
  local untilMs, delayMs, made, id = string.match(hold, '^(%d+):(%d+):(%d+):(.*)$')
  local left = untilMs and tonumber(untilMs) - nowUs / 1000
  return left and left > 0 and left <= tonumber(delayMs) + 1
    and redis.call('LINDEX', B .. ':wait', -1) == id and redis.call('HGET', B .. ':' .. id, 'atm') == made
end

local function hasWork(B)
  if redis.call('EXISTS', B .. ':wait', B .. ':active', B .. ':prioritized') == 0 then
    local first = redis.call('ZRANGE', B .. ':delayed', 0, 0, 'WITHSCORES')
    if not first[2] or tonumber(first[2]) / 0x1000 > nowUs / 1000 then return false end
  end
  return redis.call('HEXISTS', B .. ':meta', 'paused') == 0
end

-- Hardly ever is there anything where all are idle: asked at once for all of them.
if #places > 0 and redis.call('EXISTS', unpack(places)) > 0 then
  for _, idler in ipairs(idlers) do
    if hasWork(idler[1]) and not isHeld(idler[1]) then kicked[#kicked + 1] = idler[2] end
  end
end
return {lost, kicked, loads}
`;
