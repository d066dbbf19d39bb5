-- The work of a queue, and what holds it up. Both scripts of this store include this file: the dispatcher and the
-- renewal, which define `nowUs` and `sys`. Neighbour: `hold.lua` has what only the dispatcher does about holds.

-- Other programs may write to Redis, too. A text that must be a whole number: itself, or nil for anything else, or for
-- more than 'most'.
local MAX_WHOLE = 9007199254740991
local function whole(text, most)
  local number = text and string.find(text, '^%d+$') and tonumber(text)
  return number and number <= (most or MAX_WHOLE) and text or nil
end

-- Fields of a key, if it is a hash; else none.
local function fieldsOf(key, names)
  local ok, fields = pcall(redis.call, 'HMGET', key, unpack(names))
  return ok and fields or {}
end

-- Redis has no empty lists: a key that exists has a job in it.
local function hasWork(B)
  if redis.call('EXISTS', B .. ':wait', B .. ':active', B .. ':prioritized') > 0 then return true end
  local first = redis.call('ZRANGE', B .. ':delayed', 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) / 0x1000 <= nowUs / 1000
end

-- How many jobs wait or run.
local function backlogOf(B)
  return redis.call('LLEN', B .. ':wait') + redis.call('LLEN', B .. ':active') + redis.call('ZCARD', B .. ':prioritized')
end

-- Whether an operator has paused all entities of the type; read once a script.
local pausedTypes = {}
local function isTypePaused(T)
  if pausedTypes[T] == nil then pausedTypes[T] = redis.call('EXISTS', sys .. 'paused:' .. T) == 1 end
  return pausedTypes[T]
end

local function isPausedByItself(B) return redis.call('HEXISTS', B .. ':meta', 'paused') == 1 end

-- Why the head of the queue waits: '<until>:<how long>:<attempts so far>:<job id>', in ms.
local function parseHold(text)
  if not text then return nil end
  local untilMs, delayMs, made, id = string.match(text, '^(%d+):(%d+):(%d+):(.*)$')
  if not untilMs then return nil end
  return {left = tonumber(untilMs) - math.floor(nowUs / 1000), delayMs = tonumber(delayMs), made = made, id = id}
end

-- If more is left than the hold lasts, Redis's clock has stepped back: the entity does not wait for it (race 20).
-- guards: queue.isOver
local function isOver(hold) return hold.left <= 0 or hold.left > hold.delayMs end

-- Whether it holds now. A hold belongs to one attempt of one job: for another attempt, or a job that is not the head
-- any more, it is void (race 33).
local function holds(B, hold)
  -- guards: queue.holds
  if not hold or isOver(hold) or redis.call('LINDEX', B .. ':wait', -1) ~= hold.id then return false end
  local ok, made = pcall(redis.call, 'HGET', B .. ':' .. hold.id, 'atm')
  return ok and made == hold.made
end
