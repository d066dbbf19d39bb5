/**
 * Jobs that have ended and are kept. BullMQ enforces their bounds when the next one ends; this here also where none does, so that
 * an entity that nobody asks for any more leaves no key in the end (I8). Neighbour: `look.lua.ts` settles entities.
 */
export const retentionLua = /* lua */ `
local KEPT = {failed = 'removeOnFail', completed = 'removeOnComplete'}
-- In one step.
local MOST_EXPIRED = 100

local function hasEndedJobs(B) return redis.call('EXISTS', B .. ':failed', B .. ':completed') > 0 end

-- Until when a job is kept that ended then, in us; nil where its age does not matter, or its hash was deleted.
local function keptUntilUs(B, id, endedAtMs, option)
  local keep = cjson.decode(redis.call('HGET', B .. ':' .. id, 'opts') or '{}')[option]
  local age = type(keep) == 'table' and tonumber(keep.age)
  return age and (tonumber(endedAtMs) + age * 1000) * 1000
end

-- Removes those that are too old, the oldest first; behind one that is kept without an end nothing is looked at. Answers when
-- the next one will be too old, in us, or nil.
local function expireKept(B)
  local nextUs
  for state, option in pairs(KEPT) do
    local oldest = redis.call('ZRANGE', B .. ':' .. state, 0, MOST_EXPIRED, 'WITHSCORES')
    for k = 1, #oldest, 2 do
      local untilUs = keptUntilUs(B, oldest[k], oldest[k + 1], option)
      if not untilUs then break end
      if untilUs > nowUs or k > 2 * MOST_EXPIRED then
        nextUs = math.min(nextUs or untilUs, untilUs)
        break
      end
      -- its idempotency key has a time of its own, as where BullMQ enforces the bounds
      redis.call('HDEL', B .. ':' .. oldest[k], 'deid')
      if removeJob(B, oldest[k]) ~= 1 then break end
    end
  end
  return nextUs
end
`;
