-- Mends damage in a queue, after a body of BullMQ has failed over it: such a body expects only what it has written
-- itself. Nothing looks for damage before that, so it costs nothing while all is well. A damaged job fails, without
-- running, for that reason; its entity goes on.
-- Neighbours: `give-back.lua` and `grant.lua` mend single jobs, `read-job.ts` finds damage that only TypeScript sees.

local COUNTS = {'ats', 'atm', 'stc', 'priority', 'delay'}

function mendJob(B, id)
  local job = B .. ':' .. id
  local kind = redis.call('TYPE', job).ok
  if kind == 'none' then return end
  if kind ~= 'hash' then
    redis.call('DEL', job)
    redis.call('HSET', job, 'timestamp', nowMs, 'defa', 'there is a ' .. kind .. ' in place of its hash')
    return
  end
  for k, value in ipairs(redis.call('HMGET', job, unpack(COUNTS))) do
    if value and not whole(value) then
      redis.call('HSET', job, COUNTS[k], '0', 'defa', 'the field "' .. COUNTS[k] .. '" of its hash is no whole number')
    end
  end
  parentIn(job)
end

-- BullMQ's body moves so many due jobs at once; those that wait are fetched one after the other.
local MAX_DUE, MAX_NEXT = 1000, 100

local META_COUNTS = {'opts.maxLenEvents', 'concurrency', 'max', 'duration'}
local function mendMeta(B)
  local meta = B .. ':meta'
  if redis.call('TYPE', meta).ok ~= 'hash' then return redis.call('DEL', meta) end
  for k, value in ipairs(redis.call('HMGET', meta, unpack(META_COUNTS))) do
    if value and not whole(value) then redis.call('HDEL', meta, META_COUNTS[k]) end
  end
end

-- Mends all that the next add, fetch or retry needs. Returns false if that is of no use: Redis has refused to write, or
-- this script has mended the queue before. A mend is no part of the step that failed.
local mended = {}
local function mend(B, thrown)
  if mended[B] or isRefused(thrown) then return false end
  mended[B] = true
  local hadWritten = hasWritten
  -- guards: mend.mend
  mendMeta(B)
  local ok, lastId = pcall(redis.call, 'GET', B .. ':id')
  -- ids go on from one that no job has
  if not ok or (lastId and not whole(lastId)) then redis.call('SET', B .. ':id', nowMs) end
  local dueUntil = string.format('%.0f', (nowMs + 1) * 0x1000)
  for _, ids in ipairs({
    redis.call('LRANGE', B .. ':active', 0, MAX_DUE - 1),
    redis.call('LRANGE', B .. ':wait', -MAX_NEXT, -1),
    redis.call('ZRANGE', B .. ':prioritized', 0, MAX_NEXT - 1),
    redis.call('ZRANGEBYSCORE', B .. ':delayed', '-inf', dueUntil, 'LIMIT', 0, MAX_DUE),
  }) do
    for _, id in ipairs(ids) do mendJob(B, id) end
  end
  hasWritten = hadWritten
  return true
end

-- An op has failed: the queue it works on is mended for the next attempt. The first argument of most ops is a queue of
-- ours.
local function mendAfter(B, why)
  local root = string.sub(sys, 1, -3)
  if string.sub(B or '', 1, #root) ~= root then return end
  claims[B] = nil
  pcall(mend, B, why)
end
