-- Keeps a job whose attempt has failed, for another attempt: BullMQ's own `retryJob` and `moveToDelayed`.
-- Owns: the place of the job in its queue, and its hold. Neighbours: `hold.lua` sets holds, `finish.lua` calls this.

-- When its turn comes it fails for that reason, without running; then its try is counted.
local function postpone(B, jobId, reason)
  redis.call('HSET', B .. ':' .. jobId, 'defa', reason)
  redis.call('HINCRBY', B .. ':' .. jobId, 'atm', -1)
end

-- After these the job is kept.
local COMES_BACK = {retrying = true, blocked = true, postponed = true}

-- A read comes back while 'holder', one that ran beside it, already has, and holds the entity: it waits behind that, and the hold
-- lasts until both their times have come. If it has used up its tries, it fails, without running, when its turn comes.
local function waitBehind(B, holder, jobId, try)
  redis.call('LREM', B .. ':wait', -1, jobId)
  redis.call('LINSERT', B .. ':wait', 'BEFORE', holder, jobId)
  local hold = holdOf(B)
  if not try.delayMs then
    postpone(B, jobId, try.shared)
  elseif try.delayMs > hold.left then
    setHold(B, string.format('%.0f:%.0f:%s:%s', nowMs + try.delayMs, try.delayMs, hold.made, hold.id))
  end
end

-- A failed try after which the job is kept, by BullMQ's own bodies. 'how' is JSON: {attempt, delayMs, strict, postponed, shared}.
-- Strict: all that was fetched but 'kept' goes back, the job itself last, to the head of the queue, where a hold keeps it (I6, race
-- 6). Shared: why it has failed, of a read, which may have to wait behind another one.
-- Without delayMs only a person ends the hold; it outlives those of jobs that were put before its own, which are tried again at
-- once. The answer to this end may have been lost: the job waits again, or was fetched anew.
local function retryJob(B, jobId, lockMs, how, fields, kept)
  local try, job = cjson.decode(how), B .. ':' .. jobId
  local delayMs = try.delayMs or BLOCKED_MS
  if tonumber(redis.call('HGET', job, 'ats') or try.attempt) ~= try.attempt then return 0 end
  local holder = try.shared and select(2, heldForMs(B))
  if try.strict then giveBackUnstarted(B, kept or {[jobId] = true}) end
  redis.call('HDEL', job, 'left')
  redis.call('SET', job .. ':lock', lockToken, 'PX', lockMs)
  if not try.strict and delayMs > 0 then
    return BULL.moveToDelayed(keysOf.moveToDelayed(B, jobId),
      {B .. ':', nowMs, jobId, lockToken, delayMs, '0', fields, '0', ''})
  end
  local push = try.strict and 'RPUSH' or 'LPUSH'
  local r = BULL.retryJob(keysOf.retryJob(B, jobId), {B .. ':', nowMs, push, jobId, lockToken, fields})
  if r ~= 0 or not try.strict then return r end
  -- BullMQ puts one with a priority among its peers (race 33)
  if redis.call('ZREM', B .. ':prioritized', jobId) == 1 then redis.call('RPUSH', B .. ':wait', jobId) end
  if holder then
    waitBehind(B, holder, jobId, try)
  elseif try.postponed then
    postpone(B, jobId, try.postponed)
  elseif delayMs > 0 and not (try.delayMs and isBlockedBehind(B)) then
    local untilMs = try.delayMs and nowMs + delayMs or BLOCKED_MS
    setHold(B, string.format('%.0f:%.0f:%s:%s', untilMs, delayMs, redis.call('HGET', job, 'atm'), jobId))
  end
  return r
end
