-- The inspection schedule: the set `{prefix}:$:due:<type>` has the entities of a type by the time of their next
-- inspection, in us.
-- Owns: its times, and what pods ask about it. Neighbour: `schedule-inspection.lua` inspects an entity that may have work now.

-- Brings the next inspection forward. Only the pod that inspects, or renews, moves it back.
-- guards: due.inspectBy
local function inspectBy(T, I, atUs) redis.call('ZADD', sys .. 'due:' .. T, 'LT', string.format('%.0f', atUs), I) end

-- The pod that has inspected sets the time of the next inspection.
local function inspectAfter(T, I, afterUs)
  redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', nowUs + afterUs), I)
end

-- Rest: B*. Returns how many jobs of each wait or run.
function OPS.backlogs(...)
  local out = {}
  for i, B in ipairs({...}) do out[i] = backlogOf(B) end
  return out
end

-- The entities of a type whose time has come, the longest overdue first.
function OPS.due(T, from, limit)
  return redis.call('ZRANGEBYSCORE', sys .. 'due:' .. T, '-inf', string.format('%.0f', nowUs), 'LIMIT', from, limit)
end
