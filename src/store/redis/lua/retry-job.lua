-- Keeps a job whose attempt has failed, for another attempt: BullMQ's own `retryJob` and `moveToDelayed`.
-- Owns: the place of the job in its queue, and its hold. Neighbours: `hold.lua` sets holds, `finish.lua` calls this.

-- When its turn comes, the job fails for that reason, without running. That attempt is counted then.
local function postpone(B, jobId, reason)
  -- guards: retry-job.postpone
  redis.call('HSET', B .. ':' .. jobId, 'defa', reason)
  redis.call('HINCRBY', B .. ':' .. jobId, 'atm', -1)
end

-- After these the job comes back.
local COMES_BACK = {retrying = true, blocked = true, postponed = true}

-- A read comes back while 'holder', a read that ran alongside it, already has, and holds the entity. It waits behind
-- that, and the hold lasts until both their times have come. Without attempts left, it fails when its turn comes,
-- without running.
local function waitBehind(B, holder, jobId, retry)
  redis.call('LREM', B .. ':wait', -1, jobId)
  redis.call('LINSERT', B .. ':wait', 'BEFORE', holder, jobId)
  local hold = holdOf(B)
  if not retry.delayMs then
    -- guards: retry-job.waitBehind
    postpone(B, jobId, retry.shared)
  elseif retry.delayMs > hold.left then
    setHold(B, string.format('%.0f:%.0f:%s:%s', nowMs + retry.delayMs, retry.delayMs, hold.made, hold.id))
  end
end

-- A failed attempt after which the job comes back, by BullMQ's own bodies. 'how' is JSON: {attempt, delayMs, strict,
-- postponed, shared}.
-- Strict: all fetched jobs but 'kept' go back, this job last, to the head of the queue, and a hold keeps it there (I6,
-- race 6).
-- Shared: why a read has failed, which may have to wait behind another one.
-- Without delayMs only an operator ends the hold. It outlives the holds of jobs that were put before this one, which
-- are retried at once. The response to this end may have been lost: then the job waits again, or was fetched again.
local function retryJob(B, jobId, lockMs, how, fields, kept)
  local retry, job = cjson.decode(how), B .. ':' .. jobId
  local delayMs = retry.delayMs or BLOCKED_MS
  -- guards: retry-job.retryJob
  if tonumber(redis.call('HGET', job, 'ats') or retry.attempt) ~= retry.attempt then return 0 end
  local holder = retry.shared and select(2, heldForMs(B))
  if retry.strict then giveBackUnstarted(B, kept or {[jobId] = true}) end
  redis.call('HDEL', job, 'left')
  redis.call('SET', job .. ':lock', lockToken, 'PX', lockMs)
  if not retry.strict and delayMs > 0 then
    return BULL.moveToDelayed(keysOf.moveToDelayed(B, jobId),
      {B .. ':', nowMs, jobId, lockToken, delayMs, '0', fields, '0', ''})
  end
  local push = retry.strict and 'RPUSH' or 'LPUSH'
  local r = BULL.retryJob(keysOf.retryJob(B, jobId), {B .. ':', nowMs, push, jobId, lockToken, fields})
  if r ~= 0 or not retry.strict then return r end
  -- BullMQ puts a job with a priority among its peers (race 33)
  if redis.call('ZREM', B .. ':prioritized', jobId) == 1 then redis.call('RPUSH', B .. ':wait', jobId) end
  if holder then
    waitBehind(B, holder, jobId, retry)
  elseif retry.postponed then
    postpone(B, jobId, retry.postponed)
  elseif delayMs > 0 and not (retry.delayMs and isBlockedBehind(B)) then
    local untilMs = retry.delayMs and nowMs + delayMs or BLOCKED_MS
    setHold(B, string.format('%.0f:%.0f:%s:%s', untilMs, delayMs, redis.call('HGET', job, 'atm'), jobId))
  end
  return r
end
