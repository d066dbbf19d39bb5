-- The inspection schedule: the set `{prefix}:$:due:<type>` has the entities of a type by the time of their next inspection, in us.
-- Owns: its times, and what pods ask about it. Neighbour: `inspect.lua` inspects an entity that may have work now.

-- The time of the next look, where it is later. Only whoever looks, or renews, moves it on.
local function lookBy(T, I, atUs) redis.call('ZADD', sys .. 'due:' .. T, 'LT', string.format('%.0f', atUs), I) end

-- Whoever looked moves the time of the next look on.
local function lookAgain(T, I, afterUs)
  redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', nowUs + afterUs), I)
end

-- backlogs: B…; how many jobs wait or run
function OPS.backlogs(...)
  local out = {}
  for i, B in ipairs({...}) do out[i] = backlogOf(B) end
  return out
end

-- due: T from limit; the entities of a type whose time has come, the longest overdue first
function OPS.due(T, from, limit)
  return redis.call('ZRANGEBYSCORE', sys .. 'due:' .. T, '-inf', string.format('%.0f', nowUs), 'LIMIT', from, limit)
end
