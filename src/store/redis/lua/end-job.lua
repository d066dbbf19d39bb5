-- Ends one job: BullMQ's own `moveToFinished`, guarded.
--
-- The claim alone decides whose job it is. A job's lock that expired or was removed is set again: it is no reason to
-- refuse (race 5). A refusal of BullMQ is reported and not thrown: the worker goes on either way.
-- Neighbours: `finish.lua` says what else goes with an end, `retry-job.lua` keeps jobs that come back.

-- Whether a job has ended: it is removed, or kept in the set for its status.
local function hasEnded(B, jobId, status)
  return redis.call('EXISTS', B .. ':' .. jobId) == 0 or redis.call('ZSCORE', B .. ':' .. status, jobId)
end

-- Ends one job under our lock. Returns BullMQ's result: a job, a code below 0, or nothing.
local function endJob(B, jobId, lockMs, status, value, opts, fields, fetch)
  local lock = B .. ':' .. jobId .. ':lock'
  local completed = status == 'completed'
  -- when an operator retries it, it has all its attempts again
  if not completed then redis.call('HDEL', B .. ':' .. jobId, 'skip', 'thrown') end
  local keys = completed and keysOf.completed(B, jobId) or keysOf.failed(B, jobId)
  -- guards: end-job.endJob
  opts = boundCount(B, status, opts)
  local args = {jobId, nowMs, completed and 'returnvalue' or 'failedReason', value, status, fetch, B .. ':', opts, fields}
  local ok, r = pcall(BULL.moveToFinished, keys, args)
  if not ok then
    if isRefused(r) then error(r, 0) end
    if hasEnded(B, jobId, completed and 'completed' or 'failed') then
      -- it has ended, and the fetch of the next has failed, perhaps after it had moved it: all goes back, in its order
      -- (I6)
      mend(B, r)
      r = nil
    else
      -- a job that is half ended is active again
      if not redis.call('LPOS', B .. ':active', jobId) then redis.call('RPUSH', B .. ':active', jobId) end
      if not mend(B, r) then error(r, 0) end
      r = BULL.moveToFinished(keys, args)
    end
  end
  if r == -2 or r == -6 then
    -- no lock, or another one, and nothing changed yet
    redis.call('SET', lock, lockToken, 'PX', lockMs)
    r = BULL.moveToFinished(keys, args)
  end
  if r == -4 and childrenOf(B .. ':' .. jobId) then
    -- an operator has retried a child since this job joined its queue: it does not wait for that
    redis.call('DEL', B .. ':' .. jobId .. ':dependencies')
    r = BULL.moveToFinished(keys, args)
  end
  if r == -4 or r == -9 then
    -- it has children that have not ended, or failed: nothing will end it later
    local kept = {}
    for name, option in pairs(cmsgpack.unpack(opts)) do kept[name] = option end
    kept.keepJobs = {count = -1}
    args = {jobId, nowMs, 'failedReason', 'it has completed, and has children that have not', 'failed', '0', B .. ':', kept, fields}
    BULL.moveToFinished(keysOf.failed(B, jobId), args)
  end
  return r
end
