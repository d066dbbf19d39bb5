-- The spawn queue of an entity type: an ordinary BullMQ queue, `{prefix}:$:spawn:<type>`, whose jobs ask any pod with
-- capacity to inspect an entity. A hint: the inspection schedule alone is the truth, and the sweep finds what is lost
-- here.
-- Neighbours: `due.lua` has the inspection schedule, `wake-ups.lua` calls one pod, `spawn-queue.service.ts` shows the
-- queue to users.

local function spawnBase(T) return sys .. 'spawn:' .. T end

-- Adds a request, one for each entity. Its id is none of the names that BullMQ uses itself.
local function requestWorker(T, I)
  local S = spawnBase(T)
  local id = 'for-' .. I
  if redis.call('EXISTS', S .. ':' .. id) == 0 then
    BULL.addStandardJob(keysOf.addStandardJob(S), {{S .. ':', id, 'spawn', nowMs}, '{}', '{"removeOnComplete":true}'})
  else
    -- it was added before, and the pod that was told may have died
    redis.call('ZADD', S .. ':marker', 0, '0')
  end
end

-- Takes requests for these types, up to a limit for each. Rest: types. Returns {type, id, type, id …}
function OPS.spawned(limit, takeOpts, ...)
  local out = {}
  for _, T in ipairs({...}) do
    local S = spawnBase(T)
    for _ = 1, tonumber(limit) do
      local r = BULL.moveToActive(keysOf.moveToActive(S), {S .. ':', nowMs, takeOpts})
      if type(r[1]) ~= 'table' then break end
      finishJob(S, r[2], 1000, 'completed', 'null', takeOpts, '', '', '', '', '0')
      -- A job added outside this library is no request.
      if string.sub(r[2], 1, 4) == 'for-' then
        out[#out + 1] = T
        out[#out + 1] = string.sub(r[2], 5)
      end
    end
  end
  return out
end

function OPS.requestWorker(T, I)
  requestWorker(T, I)
  return {'OK'}
end
