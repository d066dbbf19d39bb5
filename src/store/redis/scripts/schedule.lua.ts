/**
 * Schedules, on BullMQ's Job Schedulers: each has one job at a time, for its next run. The run after that is made in the step in
 * which the job ends, so no crash ends a schedule, and runs do not pile up behind one that takes long.
 * Neighbours: `finish.lua.ts` ends jobs; `schedules.ts` knows patterns, which Redis does not.
 */
export const advanceLua = /* lua */ `
-- The id of a schedule's present job, which waits, runs or is for later.
local function presentOf(B, id)
  local score = redis.call('ZSCORE', B .. ':repeat', id)
  return score and 'repeat:' .. id .. ':' .. score
end

-- Makes the next run of a schedule by an interval where there is one of its time already: BullMQ's add takes the next time that is
-- free, its update does not. Answers its id.
local TIMES = {'name', 'limit', 'startDate', 'endDate', 'offset'}
local function addNextFree(B, id, opts)
  local key, what = B .. ':repeat:' .. id, {}
  for _, name in ipairs(TIMES) do what[name] = redis.call('HGET', key, name) or nil end
  local every, data, template = unpack(redis.call('HMGET', key, 'every', 'data', 'opts'))
  what.every = tonumber(every or opts['repeat'].every)
  local args = {'0', what, id, data or '{}', cjson.decode(template or '{}'), opts, nowMs, B .. ':', ''}
  local r = BULL.addJobScheduler(keysOf_addJobScheduler(B), args)
  if type(r) ~= 'table' then return nil end
  redis.call('HINCRBY', key, 'ic', 1)
  return r[1]
end

-- A job of a schedule ends. 'nextMs': when it runs next, by its pattern; '0' by its interval, which BullMQ's body knows; 'over'.
-- An end that comes twice, or of a schedule that was put anew, is not of its present job: nothing is done.
local function advance(B, jobId, nextMs)
  local id, json, envelope = unpack(redis.call('HMGET', B .. ':' .. jobId, 'rjk', 'opts', 'aq'))
  if not id or jobId ~= presentOf(B, id) then return end
  if nextMs == 'over' then
    BULL.removeJobScheduler(keysOf_removeJobScheduler(B), {id, B .. ':'})
    return
  end
  local opts = cjson.decode(json)
  opts['repeat'].count = (tonumber(opts['repeat'].count) or 1) + 1
  -- Of its time there may be one that somebody has moved before it: it waits for its next try, or has failed and is kept.
  while nextMs ~= '0' and redis.call('EXISTS', B .. ':repeat:' .. id .. ':' .. nextMs) == 1 do
    nextMs = string.format('%.0f', nextMs + 1)
  end
  opts.prevMillis = nextMs ~= '0' and tonumber(nextMs) or nil
  local nextId = BULL.updateJobScheduler(keysOf_updateJobScheduler(B, jobId), {nextMs, id, '{}', opts, nowMs, B .. ':', jobId})
  if not nextId and nextMs == '0' then nextId = addNextFree(B, id, opts) end
  if envelope and nextId then redis.call('HSET', B .. ':' .. nextId, 'aq', envelope) end
end
`;

export const scheduleLua = /* lua */ `
local function hasStarted(B, jobId) return tonumber(redis.call('HGET', B .. ':' .. jobId, 'ats') or '0') > 0 end

-- Changes a schedule by a body of BullMQ, which removes the present job where it finds it. One that has started is under way,
-- also while it waits for its next try, or blocks its entity: it is out of sight meanwhile, and keeps its place.
local function sparingStarted(B, id, change)
  local run = presentOf(B, id)
  if not run or not hasStarted(B, run) then return change() end
  local wait, scores = B .. ':wait', {}
  local at = redis.call('LPOS', wait, run)
  if at then redis.call('LSET', wait, at, '') end
  for _, set in ipairs({B .. ':delayed', B .. ':prioritized'}) do
    scores[set] = redis.call('ZSCORE', set, run) or nil
    redis.call('ZREM', set, run)
  end
  local ok, r = pcall(change)
  if at then redis.call('LSET', wait, redis.call('LPOS', wait, ''), run) end
  for set, score in pairs(scores) do redis.call('ZADD', set, score, run) end
  if not ok then error(r, 0) end
  return r
end

-- When the present job of a schedule by this pattern was to run, if it is due and nobody has fetched it: put anew, it still is.
local function dueMs(B, id, what)
  local run = presentOf(B, id)
  local atMs = run and redis.call('ZSCORE', B .. ':repeat', id)
  if not run or tonumber(atMs) > tonumber(nowMs) then return nil end
  local was = redis.call('HMGET', B .. ':repeat:' .. id, 'pattern', 'tz')
  local isSame = was[1] == what.pattern and (was[2] or nil) == what.tz
  return isSame and redis.call('EXISTS', B .. ':' .. run) == 1 and not hasStarted(B, run) and atMs or nil
end

-- schedule: B T I id nextMs ('0' with an interval) what template opts data envelope; 'what', 'template' and 'opts' are JSON: what BullMQ
-- keeps of the schedule, of the options of its jobs, and the options of the first
-- Returns {'OK', when it runs next, in ms}, {'REFUSED', BullMQ's code}, {'SHARED', whose}; {'PAST', now} when the clock that gave
-- nextMs is behind, or a job of that time has started: the time after both is the next
function OPS.schedule(B, T, I, id, nextMs, what, template, opts, data, envelope)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  what, opts = cjson.decode(what), cjson.decode(opts)
  if nextMs ~= '0' then
    local due = dueMs(B, id, what)
    if not due and (tonumber(nextMs) <= tonumber(nowMs) or hasStarted(B, 'repeat:' .. id .. ':' .. nextMs)) then
      return {'PAST', nowMs}
    end
    nextMs = due or nextMs
    opts.prevMillis = tonumber(nextMs)
  end
  local args = {nextMs, what, id, data, cjson.decode(template), opts, nowMs, B .. ':', ''}
  -- BullMQ's body counts its jobs among those with a number
  if redis.call('EXISTS', B .. ':id') == 0 then idsGoOn(B) end
  local r = sparingStarted(B, id, function() return BULL.addJobScheduler(keysOf_addJobScheduler(B), args) end)
  if type(r) == 'number' then return {'REFUSED', r} end
  local next = redis.call('ZSCORE', B .. ':repeat', id)
  if envelope ~= '' then redis.call('HSET', B .. ':repeat:' .. id .. ':' .. next, 'aq', envelope) end
  hasJobs(B, T, I)
  lookNow(B, T, I)
  return {'OK', next}
end

-- unschedule: B T I id; a job of it that is due already still runs. Returns {'1'} when there was one, {'0'}, {'SHARED', whose}
function OPS.unschedule(B, T, I, id)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  if not presentOf(B, id) then return {'0'} end
  sparingStarted(B, id, function() BULL.removeJobScheduler(keysOf_removeJobScheduler(B), {id, B .. ':'}) end)
  lookNow(B, T, I)
  return {'1'}
end

-- schedules: B from limit; the next to run first. Returns for each {id, next, name, data, every, pattern, tz, runs so far, envelope}
local SCHEDULE = {'name', 'data', 'every', 'pattern', 'tz', 'ic'}
function OPS.schedules(B, from, limit)
  local out = {}
  local found = redis.call('ZRANGE', B .. ':repeat', from, from + limit - 1, 'WITHSCORES')
  for k = 1, #found, 2 do
    out[#out + 1] = found[k]
    out[#out + 1] = found[k + 1]
    local fields = redis.call('HMGET', B .. ':repeat:' .. found[k], unpack(SCHEDULE))
    for f = 1, #SCHEDULE do out[#out + 1] = fields[f] or '' end
    -- its present job has it
    out[#out + 1] = redis.call('HGET', B .. ':repeat:' .. found[k] .. ':' .. found[k + 1], 'aq') or ''
  end
  return out
end
`;
