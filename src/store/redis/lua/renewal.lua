-- Renewal of claims: a script of its own on a connection of its own. Behind thousands of queued commands it would
-- arrive after the lease has run out.
--
-- KEYS  shard none (`scriptKeys`)
-- ARGV  podId leaseUs restUs systemPrefix workers takesMore nTypes type… blamed | (B T I epoch idle lockMs longRuns
-- nRunning jobId…)*
-- Returns {lost positions, kicked positions, dormant positions, 1 if this pod was heard within a lease before, for each
-- type {pods that take more, entities that they work}}; positions from 0
--
-- A renewal never brings a claim back: a hash that is gone, or has another owner, is lost (race 24). The claim of an
-- idle worker whose queue is empty becomes dormant: renewed for long, and live while this pod is heard, which its key
-- 'alive' says for a lease.
-- Neighbours: `claim-record.lua` says what makes a claim live, `renewal-connection.ts` sends this script.

local pod, leaseUs, restUs, sys = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local workers, takesMore, nTypes = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7])
local blamed = ARGV[8 + nTypes]
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
--- include queue
--- include suspicion
local lost, kicked, dormant, loads = {}, {}, {}, {}
-- where jobs of a queue would be
local function placesOf(B) return B .. ':wait', B .. ':active', B .. ':prioritized', B .. ':delayed' end
-- the key that says how many entities a pod works
local function alive(id) return sys .. 'pod:' .. id .. ':alive' end
local wasHeard = redis.call('EXISTS', alive(pod))
-- guards: renewal.alive
redis.call('SET', alive(pod), workers, 'PX', math.ceil(leaseUs / 1000))
-- Since when some pod was heard without a silence of all pods. It expires with such a silence, after which no claim
-- lapses for a lease. A step back of Redis's clock counts as a silence (race 20).
local since = tonumber(redis.call('GET', sys .. 'heard')) or nowUs
redis.call('SET', sys .. 'heard', string.format('%.0f', math.min(since, nowUs)), 'PX', math.ceil(leaseUs / 1000 * CORE.SILENCE_OF_LEASE))
for k = 8, 7 + nTypes do
  local key = sys .. 'pods:' .. ARGV[k]
  if takesMore then
    redis.call('ZADD', key, string.format('%.0f', nowUs), pod)
  else
    redis.call('ZREM', key, pod)
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs - 10 * leaseUs))
  redis.call('PEXPIRE', key, math.floor(leaseUs / 100))
  local sum, pods = 0, redis.call('ZRANGEBYSCORE', key, string.format('%.0f', nowUs - leaseUs), '+inf')
  for _, id in ipairs(pods) do sum = sum + (tonumber(redis.call('GET', alive(id)) or '0') or 0) end
  loads[#loads + 1] = {#pods, sum}
end

local untilUs, restUntilUs = string.format('%.0f', nowUs + leaseUs), string.format('%.0f', nowUs + restUs)
-- the entities of each type with a new time of inspection; the idle ones, and the places of their jobs
local due, idlers, places = {}, {}, {}
local function moveOn(T, I, atUs)
  due[T] = due[T] or {}
  due[T][#due[T] + 1] = atUs
  due[T][#due[T] + 1] = I
end
local function keep(B, T, I, rested)
  redis.call('HSET', B .. ':$:worker', 'until', untilUs)
  -- guards: renewal.keep
  if rested then redis.call('HDEL', B .. ':$:worker', 'rests') end
  moveOn(T, I, untilUs)
end
local function rest(B, T, I)
  redis.call('HSET', B .. ':$:worker', 'until', restUntilUs, 'rests', '1')
  moveOn(T, I, restUntilUs)
end

-- Whether the job under a claim may have blocked this pod: ',<position>,<position>,' or '*'.
local function isBlamed(position)
  return blamed == '*' or string.find(blamed, ',' .. position .. ',', 1, true) ~= nil
end

local position, k = 0, 9 + nTypes
while k <= #ARGV do
  local B, T, I, epoch, idle, lockMs, runs, nRunning = unpack(ARGV, k, k + 7)
  nRunning = tonumber(nRunning)
  local ok, c = pcall(redis.call, 'HMGET', B .. ':$:worker', 'owner', 'epoch', 'rests', 'suspect', 'runs')
  -- guards: renewal.isBlamed
  -- a later epoch is ours too: a resync whose response is on its way; a damaged claim has no owner
  if not ok or c[1] ~= pod or tonumber(whole(c[2]) or '0') < tonumber(epoch) then
    if ok and not isBlamed(position) then clearSuspicion(B, c[4]) end
    lost[#lost + 1] = position
  else
    -- for the status of the entity: under another claim it says nothing
    if runs ~= '' then
      redis.call('HSET', B .. ':$:worker', 'runs', pod .. ' ' .. c[2] .. ' ' .. runs)
    elseif c[5] then
      redis.call('HDEL', B .. ':$:worker', 'runs')
    end
    for r = k + 8, k + 7 + nRunning do
      redis.call('SET', B .. ':' .. ARGV[r] .. ':lock', 'aq:' .. pod, 'PX', lockMs, 'XX')
    end
    if idle == '1' then
      idlers[#idlers + 1] = {B, T, I, position, c[3]}
      for _, place in ipairs({placesOf(B)}) do places[#places + 1] = place end
    else
      keep(B, T, I, c[3])
    end
  end
  position = position + 1
  k = k + 8 + nRunning
end
-- Whether there is work that does not wait for an operator, or for the next attempt of the head, whose time its worker
-- knows.
local function isKicked(B, T)
  -- guards: renewal.isKicked
  if not hasWork(B) or isTypePaused(T) or isPausedByItself(B) then return false end
  return redis.call('EXISTS', B .. ':active') == 1 or not holds(B, parseHold(redis.call('HGET', B .. ':$:worker', 'hold')))
end

-- Idle queues are nearly always empty: one command asks for all of them.
local areEmpty = #places == 0 or redis.call('EXISTS', unpack(places)) == 0
local function isEmpty(B) return redis.call('EXISTS', placesOf(B)) == 0 end
for _, idler in ipairs(idlers) do
  local B, T, I, at, rested = unpack(idler)
  -- guards: renewal.isEmpty
  if areEmpty or isEmpty(B) then
    dormant[#dormant + 1] = at
    rest(B, T, I)
  else
    keep(B, T, I, rested)
    -- an entity that can't be read is damaged: its worker resyncs, which mends it
    local ok, isToWork = pcall(isKicked, B, T)
    if isToWork or not ok then kicked[#kicked + 1] = at end
  end
end
for T, moved in pairs(due) do redis.call('ZADD', sys .. 'due:' .. T, unpack(moved)) end
return {lost, kicked, dormant, wasHeard, loads}
