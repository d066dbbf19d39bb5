-- Lost jobs: their hash was deleted before they had ended, so an idempotency key may name one.
-- Owns: the field 'lost' of a claim. Neighbour: `known-jobs.lua` lets a new job take such a key.

-- The latest of them: their ids may stand in idempotency keys, which then make way.
local Lost = {MOST = 100}
function Lost.ids(B) return tableOf(redis.call('HGET', fence(B), 'lost')) end

function Lost.has(B, id)
  for _, other in ipairs(Lost.ids(B)) do
    if other == id then return true end
  end
  return false
end

function Lost.add(B, id)
  local ids = Lost.ids(B)
  ids[#ids + 1] = id
  if #ids > Lost.MOST then table.remove(ids, 1) end
  redis.call('HSET', fence(B), 'lost', cjson.encode(ids))
end

function Lost.forget(B, id)
  local left = {}
  for _, other in ipairs(Lost.ids(B)) do
    if other ~= id then left[#left + 1] = other end
  end
  if #left > 0 then redis.call('HSET', fence(B), 'lost', cjson.encode(left)) else redis.call('HDEL', fence(B), 'lost') end
end
