-- The end of a claim: what is done when an entity has nothing to run, or only an operator can give it something to run.
-- Inspection and removal are one step, so a job that is added in between is never forgotten (race 11).
-- Owns: the keys of an idle entity (I8), and parked entities. Neighbours: `try-claim.lua` and `release.lua` call this,
-- `retention.lua` expires jobs that are kept.

-- A pod with nothing to do but wait for a hold gives the entity up, and is back before the hold ends: longer than the
-- pause between sweeps.
local HOLD_LEAD_MS = CORE.HOLD_LEAD_MS
local function heldForLongMs(B)
  local held = heldForMs(B)
  return held and held > HOLD_LEAD_MS and held - HOLD_LEAD_MS
end

-- guards: idle-entity.isPaused
local function isPaused(B) return isPausedByItself(B) or isPausedByType(B) end

-- Whether only an operator can give an entity with work something to run: it is paused, or blocked. A block does not
-- concern what a dead owner had fetched and what was put before the head since.
local function isParked(B)
  return isPaused(B) or (isBlocked(heldForMs(B)) and redis.call('EXISTS', B .. ':active') == 0)
end

-- It is not inspected until that operator acts (race 16). When the pause of a type ends, all entities with this time
-- are inspected.
local PARKED = '9000000000000000'
local function park(B, T, I)
  -- guards: idle-entity.park
  local waitsForType = isTypePaused(T) and not isPausedByItself(B)
  if waitsForType then redis.call('ZADD', sys .. 'due:' .. T, PARKED, I) else redis.call('ZREM', sys .. 'due:' .. T, I) end
  -- until then, the fence says which entity the queue belongs to
  redis.call('PERSIST', fence(B))
end

-- BullMQ writes these two by itself; any other field was set by an operator.
local OWN_META = {['opts.maxLenEvents'] = true, version = true}

local function metaIsOurs(B)
  for _, field in ipairs(redis.call('HKEYS', B .. ':meta')) do
    if not OWN_META[field] then return false end
  end
  return true
end

-- Removes the owner and keeps the token: the fence stays for a day (I4), and a hold until it has ended.
local function giveUp(B)
  -- PERSIST is not needed for a block, since no claim has an expiry
  expireIdleFence(B)
  -- guards: idle-entity.giveUp
  claims[B] = nil
  redis.call('HDEL', fence(B), 'owner', 'epoch', 'until', 'rests', 'recall', 'gathers', 'runs')
end

-- The fence has expired if jobs were kept or delayed for longer than it lasts: then this makes a new one.
local function noteLastId(B, T, I, lastId, isFenced)
  redis.call('HSET', fence(B), 'lastId', lastId, 'entity', T .. ':' .. I)
  -- guards: idle-entity.noteLastId
  claims[B], lastIds[B] = nil, nil
  if not isFenced then expireFence(B, 0) end
end

-- Gives up the claim of an entity that has nothing to run now. Its next inspection is when a job is due, or when a kept
-- one is old enough to go. Its queue leaves no key unless a state of BullMQ still holds a job, or an operator has set
-- something (I8, race 9).
local function giveUpIdle(B, T, I)
  local isFenced = claimOf(B)[ENTITY]
  -- guards: idle-entity.giveUpIdle
  if claimOf(B)[HOLD] then setHold(B, nil) end
  giveUp(B)
  local due = sys .. 'due:' .. T
  local first = redis.call('ZRANGE', B .. ':delayed', 0, 0, 'WITHSCORES')
  local atUs = hasEndedJobs(B) and expireKept(B) or nil
  if first[2] then atUs = math.min(atUs or math.huge, math.ceil(tonumber(first[2]) / 0x1000) * 1000) end
  if atUs then
    redis.call('ZADD', due, string.format('%.0f', math.max(nowUs, atUs)), I)
    return
  end
  redis.call('ZREM', due, I)
  local kept = redis.call('EXISTS', B .. ':completed', B .. ':failed', B .. ':waiting-children', B .. ':repeat', B .. ':paused')
  if kept == 0 and metaIsOurs(B) then
    local lastId = redis.call('GET', B .. ':id')
    if lastId then noteLastId(B, T, I, lastId, isFenced) end
    redis.call('DEL', B .. ':meta', B .. ':id', B .. ':marker', B .. ':pc', B .. ':stalled', B .. ':stalled-check')
    redis.call('EXPIRE', B .. ':events', 60)
  end
end
