-- Whether a job is known already, by its id or by its idempotency key.
-- Owns: the search through the states of a queue, and keys whose job was dropped or lost. Neighbours: `add-job.lua`
-- adds, `clear-drops.lua` and `lost-jobs.lua` say what counts as gone.

local STATES = {'wait', 'active', 'paused'}
local SCORED = {'delayed', 'prioritized', 'completed', 'failed', 'waiting-children'}

-- Entries of lists that one script reads; more would keep Redis from everything else (I11).
local entriesLeft = 5000000

-- Whether a list has a job. If that is too long to read, the job counts as known, as it does for BullMQ; not if it may
-- have been dropped.
local function inList(B, state, id)
  if entriesLeft > 0 then
    entriesLeft = entriesLeft - redis.call('LLEN', B .. ':' .. state)
    return redis.call('LPOS', B .. ':' .. state, id)
  end
  if not DROPS.last(B) then return true end
  error('whether job ' .. id .. ' is one that was dropped takes too long to find out in one step with others; try it again by itself', 0)
end

local function inSomeState(B, id)
  for _, state in ipairs(SCORED) do
    if redis.call('ZSCORE', B .. ':' .. state, id) then return true end
  end
  for _, state in ipairs(STATES) do
    if redis.call('EXISTS', B .. ':' .. state) == 1 and inList(B, state, id) then return true end
  end
  return false
end

-- Whether a job with that id is here only by its hash, since it was dropped.
local function wasDropped(B, id)
  return DROPS.last(B) and redis.call('EXISTS', B .. ':' .. id) == 1 and not inSomeState(B, id)
end

-- Refuses an add whose response would be a job that a drop may remove: it was fetched, and its owner has yet to tell
-- whether it had started.
local function refuseDropping(B, customId, dedupKey)
  if claimOf(B)[RECALL] ~= 'drop' then return end
  for _, id in ipairs({customId, dedupKey ~= '' and redis.call('GET', dedupKey) or ''}) do
    if id ~= '' and inList(B, 'active', id) and not DROPS.isPresent(B, id) then
      error('job ' .. id .. ' may be among the jobs of a running drop(); try again when the drop has ended', 0)
    end
  end
end

-- Whether the job of that id can't be the work that a deduplication key stands for: its hash was deleted before it had
-- ended. It may still wait, or has been fetched since, which writes a part of a hash. A key without a time lives as
-- long as its job.
local function isLost(B, id, dedupKey)
  local added, result = unpack(redis.call('HMGET', B .. ':' .. id, 'timestamp', 'returnvalue'))
  if added or result then return false end
  if redis.call('PTTL', dedupKey) == -1 or redis.call('EXISTS', B .. ':' .. id) == 1 then return true end
  for _, state in ipairs(STATES) do
    if inList(B, state, id) then return true end
  end
  for _, state in ipairs({'delayed', 'prioritized', 'waiting-children'}) do
    if redis.call('ZSCORE', B .. ':' .. state, id) then return true end
  end
  -- guards: known-jobs.isLost
  return Lost.has(B, id)
end

-- The id of the job that is known by a deduplication key ('': none). The key of a dropped or lost job makes way.
local function knownBy(B, dedupKey)
  local id = dedupKey ~= '' and redis.call('GET', dedupKey)
  if not id then return nil end
  -- guards: known-jobs.knownBy
  if wasDropped(B, id) then
    DROPS.remove(B, id)
  elseif isLost(B, id, dedupKey) then
    redis.call('DEL', dedupKey)
    Lost.forget(B, id)
  else
    return id
  end
end
