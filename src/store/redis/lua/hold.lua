-- Holds: the head of a queue waits for its next attempt, or blocks its entity, and nothing of the queue is fetched
-- meanwhile (I6).
-- Owns: the field 'hold' of a claim. Neighbours: `queue.lua` parses a hold, `retry-job.lua` sets one, `take.lua` obeys
-- it.

-- The end and the length, in ms, of a hold that only an operator ends: longer than any clock counts.
local BLOCKED_MS = 9e15

local function holdOf(B) return parseHold(claimOf(B)[HOLD]) end

-- How long the head of the queue waits for its next attempt, in ms, and its id, or nil.
local function heldForMs(B)
  local hold = holdOf(B)
  if holds(B, hold) then return hold.left, hold.id end
end

local function isBlocked(heldMs) return heldMs ~= nil and heldMs > BLOCKED_MS / 2 end

-- The fence of an entity without an owner outlives a hold; a block has no end.
local function expireIdleFence(B)
  local hold = holdOf(B)
  local leftMs = hold and not isOver(hold) and hold.left or 0
  if not isBlocked(leftMs) then expireFence(B, leftMs) end
end

-- The id of the job without attempts left that blocks the entity until an operator decides.
local function blockerOf(B)
  local held, id = heldForMs(B)
  return isBlocked(held) and id or nil
end

-- Whether a job that waits further back blocks the entity: others were put before it, outside this library.
local function isBlockedBehind(B)
  local hold = holdOf(B)
  return hold and isBlocked(hold.left) and redis.call('LPOS', B .. ':wait', hold.id, 'RANK', -1)
end

local function setHold(B, hold)
  -- guards: hold.setHold
  claims[B] = nil
  if hold then redis.call('HSET', fence(B), 'hold', hold) else redis.call('HDEL', fence(B), 'hold') end
end

-- Removes a hold that is over, or whose job waits no more. A hold whose job is not the head at the moment may be needed
-- again.
local function forgetHold(B)
  local hold = holdOf(B)
  -- guards: hold.forgetHold
  if hold and (isOver(hold) or not redis.call('LPOS', B .. ':wait', hold.id, 'RANK', -1)) then setHold(B, nil) end
end
