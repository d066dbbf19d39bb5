-- Adds one job to its queue: BullMQ's own bodies, undone if they fail half-way.
-- Owns: job ids after a queue was gone, and the life of the fence that idempotency keys need.
-- Neighbours: `known-jobs.lua` knows duplicates, `route.lua` routes what was added, `mend.lua` mends damage.

-- Takes back what a failed add has written.
local function undo(B, id)
  pcall(redis.call, 'LREM', B .. ':wait', 0, id)
  pcall(redis.call, 'ZREM', B .. ':delayed', id)
  pcall(redis.call, 'ZREM', B .. ':prioritized', id)
  -- guards: add-job.undo
  pcall(redis.call, 'ZREM', B .. ':waiting-children', id)
  redis.call('DEL', B .. ':' .. id, B .. ':' .. id .. ':dependencies')
end

-- The number that BullMQ gave last, as far as this batch knows.
local lastIds = {}

-- The ids of a queue that was gone go on from its last one, since an idempotency key may still name an earlier id.
-- Returns that last id.
local function restoreIdCounter(B)
  -- guards: add-job.restoreIdCounter
  local lastId = whole(claimOf(B)[LAST_ID])
  if lastId then redis.call('SET', B .. ':id', lastId) end
  return lastId or '0'
end

-- The fence must live as long as an idempotency key, which outlives its job. Called after routing: then the fence
-- expires, or has an owner.
local function extendFence(B, opts)
  local ttlMs = tonumber((cmsgpack.unpack(opts).de or {}).ttl or '0')
  local untilMs = nowMs + ttlMs - FENCE_SECONDS * 1000
  if untilMs <= math.max(tonumber(nowMs), tonumber(whole(claimOf(B)[KEYS_UNTIL]) or '0')) then return end
  claims[B] = nil
  redis.call('HSET', fence(B), 'keysUntil', string.format('%.0f', untilMs))
  -- guards: add-job.extendFence
  if not claimOf(B)[OWNER] then expireIdleFence(B) end
end

-- BullMQ's add, undone if it fails half-way. A hash without a state is left of an earlier add that failed: the new job
-- takes its place (race 38). The envelope ('': none) is for the job that is added, and not for a known one. 'parent' is
-- BullMQ's field.
local function addOnce(B, kind, name, timestamp, data, opts, customId, dedupKey, envelope, parent)
  local hadWritten = hasWritten
  local lastId = lastIds[B] or redis.call('GET', B .. ':id') or restoreIdCounter(B)
  lastIds[B] = nil
  local drop = customId ~= '' and DROPS.last(B)
  local existed = customId ~= '' and redis.call('EXISTS', B .. ':' .. customId) == 1
  -- guards: add-job.addOnce
  if existed and not inSomeState(B, customId) then
    if drop then DROPS.remove(B, customId) else redis.call('DEL', B .. ':' .. customId) end
    existed = false
  end
  -- A job that replaces a delayed one ('replace') has an id of its own.
  local known = knownBy(B, dedupKey)
  local args = {{B .. ':', customId, name, timestamp}, data, opts}
  if dedupKey ~= '' then args[1][9] = dedupKey end
  if parent then
    local parentKey = parent.queueKey .. ':' .. parent.id
    args[1][5], args[1][6], args[1][7] = parentKey, parentKey .. ':dependencies', parent
  end
  local ok, id
  if kind == 'delayed' then
    ok, id = pcall(BULL.addDelayedJob, keysOf.addDelayedJob(B), args)
  elseif kind == 'parent' then
    ok, id = pcall(BULL.addParentJob, keysOf.addParentJob(B), args)
  elseif kind == 'prioritized' then
    ok, id = pcall(BULL.addPrioritizedJob, keysOf.addPrioritizedJob(B), args)
  else
    ok, id = pcall(BULL.addStandardJob, keysOf.addStandardJob(B), args)
  end
  if ok then
    -- for a duplicate, BullMQ returns an older id
    if customId == '' and dedupKey == '' then lastIds[B] = id end
    if customId ~= '' and not existed and id == customId and id ~= known then
      -- other jobs may have had this id before, and may have it later
      redis.call('HSET', B .. ':' .. id, 'nth', redis.call('GET', B .. ':id') or '')
      if drop then redis.call('HSET', B .. ':' .. id, 'after', drop) end
    end
    if envelope ~= '' and not existed and id ~= known and type(id) ~= 'number' then redis.call('HSET', B .. ':' .. id, 'aq', envelope) end
    return id
  end
  local added = customId ~= '' and customId or redis.call('GET', B .. ':id')
  if not existed and dedupKey ~= '' and redis.call('GET', dedupKey) == added then redis.call('DEL', dedupKey) end
  if customId ~= '' and not existed then
    undo(B, customId)
  elseif customId == '' then
    local newId = redis.call('GET', B .. ':id')
    if newId and newId ~= lastId then undo(B, newId) end
  end
  hasWritten = hadWritten
  error(id, 0)
end

-- Adds a job; after mending damage that was in its way, once more.
local function addJob(B, ...)
  local ok, id = pcall(addOnce, B, ...)
  if ok then return id end
  if not mend(B, id) then error(id, 0) end
  return addOnce(B, ...)
end
