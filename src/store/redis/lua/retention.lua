-- Jobs that have ended and are kept. BullMQ enforces their bounds when the next job ends; this file enforces them even
-- if none does, so that an entity without new jobs leaves no key in the end (I8).
-- Owns: the expiry of kept jobs. Neighbours: `idle-entity.lua` calls it for an idle entity, `end-job.lua` at the end of a
-- job.

local KEPT = {failed = 'removeOnFail', completed = 'removeOnComplete'}
-- How many are read in one step of an entity, and how many are removed in one script.
local KEPT_PAGE = 100
local expiriesLeft = 500

local function hasEndedJobs(B) return redis.call('EXISTS', B .. ':failed', B .. ':completed') > 0 end

-- The time until which a job that ended then is kept, in us; nil if its age does not matter, or its hash was deleted or
-- can't be read.
local function keptUntilUs(B, id, endedAtMs, option)
  local keep = tableOf(fieldsOf(B .. ':' .. id, {'opts'})[1])[option]
  local age = type(keep) == 'table' and tonumber(keep.age)
  return age and (tonumber(endedAtMs) + age * 1000) * 1000
end

-- Its idempotency key has a time of its own, as when BullMQ enforces the bounds.
local function expel(B, id)
  -- guards: retention.expel
  redis.call('HDEL', B .. ':' .. id, 'deid')
  return removeJob(B, id) == 1
end

-- BullMQ removes all jobs beyond the count in the step of one end. If they are many, as after a change of the option,
-- each end removes a part of them. Returns the options for BullMQ.
local MAX_BEYOND = 200
local function boundCount(B, state, opts)
  local all = cmsgpack.unpack(opts)
  local count = all.keepJobs and all.keepJobs.count
  if not count or tonumber(count) <= 0 or redis.call('ZCARD', B .. ':' .. state) - count <= MAX_BEYOND then return opts end
  for _, id in ipairs(redis.call('ZRANGE', B .. ':' .. state, 0, MAX_BEYOND - 1)) do expel(B, id) end
  local bounded = {}
  for name, value in pairs(all) do bounded[name] = value end
  bounded.keepJobs = {count = -1, age = all.keepJobs.age}
  return bounded
end

-- The rank after the last job that is known to have only jobs before it that are kept without an end: 'score id', in
-- the fence.
local function rankBehind(B, state)
  local score, id = string.match(redis.call('HGET', fence(B), 'kept:' .. state) or '', '^(%S+) (.*)$')
  if not score then return 0 end
  return (redis.call('ZRANK', B .. ':' .. state, id) or redis.call('ZCOUNT', B .. ':' .. state, '-inf', '(' .. score) - 1) + 1
end

-- Reads a page, the oldest first, and removes the jobs in it that are too old. Returns when the next one will be too
-- old, in us; now if there is more after the page and nothing in it to wait for; or nil.
local function expirePage(B, state, option)
  local first = rankBehind(B, state)
  local page = redis.call('ZRANGE', B .. ':' .. state, first, first + KEPT_PAGE - 1, 'WITHSCORES')
  local nextUs, behind
  for k = 1, #page, 2 do
    local id, endedAtMs = page[k], page[k + 1]
    local untilUs, isKept = keptUntilUs(B, id, endedAtMs, option), false
    if not untilUs then
      isKept = true
    -- guards: retention.expirePage
    elseif untilUs > nowUs or expiriesLeft == 0 then
      nextUs = math.min(nextUs or untilUs, untilUs)
    else
      expiriesLeft = expiriesLeft - 1
      -- BullMQ may refuse it, as for a locked job
      isKept = not expel(B, id)
    end
    if isKept and not nextUs then behind = endedAtMs .. ' ' .. id end
  end
  if behind and claimOf(B)[ENTITY] then redis.call('HSET', fence(B), 'kept:' .. state, behind) end
  return nextUs or (#page == 2 * KEPT_PAGE and nowUs or nil)
end

-- Removes the jobs that are too old. Returns when to look at them next, in us, or nil.
local function expireKept(B)
  local nextUs
  for state, option in pairs(KEPT) do
    local atUs = expirePage(B, state, option)
    if atUs then nextUs = math.min(nextUs or atUs, atUs) end
  end
  return nextUs
end
