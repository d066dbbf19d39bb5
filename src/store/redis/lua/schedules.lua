-- Schedules for an operator or a caller: puts, removes and lists them.
-- Owns: the place of a run that has started while its schedule changes. Neighbours: `advance-schedule.lua` makes the
-- next run, `operator/schedules.ts` knows patterns.

local function hasStarted(B, jobId) return (tonumber(redis.call('HGET', B .. ':' .. jobId, 'ats') or '0') or 1) > 0 end

-- Changes a schedule by a body of BullMQ, which removes the present job if it finds it. A job that has started is under
-- way, also while it waits for its next attempt, or blocks its entity: it is hidden meanwhile, and keeps its place.
local function sparingStarted(B, id, change)
  local run = presentOf(B, id)
  -- guards: schedules.sparingStarted
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

-- When the present job of a schedule by this pattern was due, if no worker has fetched it: after the schedule is put
-- again, it still is.
local function dueMs(B, id, what)
  local run = presentOf(B, id)
  local atMs = run and redis.call('ZSCORE', B .. ':repeat', id)
  if not run or tonumber(atMs) > tonumber(nowMs) then return nil end
  local was = redis.call('HMGET', B .. ':repeat:' .. id, 'pattern', 'tz')
  local isSame = was[1] == what.pattern and (was[2] or nil) == what.tz
  return isSame and redis.call('EXISTS', B .. ':' .. run) == 1 and not hasStarted(B, run) and atMs or nil
end

-- 'what', 'template' and 'opts' are JSON: what BullMQ keeps of the schedule, the options of its jobs, and those of the
-- first job.
-- Returns {'OK', when it runs next, in ms} | {'REFUSED', BullMQ's code} | {'SHARED', entity} | {'PAST', now}, if the
-- clock that gave nextRun is behind, or a job of that time has started: the next time is after both
function OPS.schedule(B, T, I, scheduleId, nextRun, what, template, opts, data, envelope)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  what, opts = cjson.decode(what), cjson.decode(opts)
  local nextMs = nextRun == 'interval' and BY_INTERVAL or nextRun
  if nextRun ~= 'interval' then
    -- guards: schedules.OPS.schedule
    local due = dueMs(B, scheduleId, what)
    if not due and (tonumber(nextMs) <= tonumber(nowMs) or hasStarted(B, 'repeat:' .. scheduleId .. ':' .. nextMs)) then
      return {'PAST', nowMs}
    end
    nextMs = due or nextMs
    opts.prevMillis = tonumber(nextMs)
  end
  local args = {nextMs, what, scheduleId, data, cjson.decode(template), opts, nowMs, B .. ':', ''}
  -- BullMQ's body numbers its jobs along with all others
  if redis.call('EXISTS', B .. ':id') == 0 then restoreIdCounter(B) end
  local r = sparingStarted(B, scheduleId, function() return BULL.addJobScheduler(keysOf.addJobScheduler(B), args) end)
  if type(r) == 'number' then return {'REFUSED', r} end
  local next = redis.call('ZSCORE', B .. ':repeat', scheduleId)
  if envelope ~= '' then
    redis.call('HSET', B .. ':repeat:' .. scheduleId .. ':' .. next, 'aq', envelope)
    redis.call('HSET', B .. ':repeat:' .. scheduleId, 'aq', envelope)
  end
  keepQueueAlive(B, T, I)
  inspectNow(B, T, I)
  return {'OK', next}
end

-- A job of the schedule that is already due still runs. Returns {'1'} if there was one, {'0'}, {'SHARED', entity}
function OPS.unschedule(B, T, I, scheduleId)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  if not presentOf(B, scheduleId) then return {'0'} end
  sparingStarted(B, scheduleId, function() BULL.removeJobScheduler(keysOf.removeJobScheduler(B), {scheduleId, B .. ':'}) end)
  inspectNow(B, T, I)
  return {'1'}
end

-- The next to run first. Returns for each {scheduleId, next, name, data, every, pattern, tz, runs so far, envelope}
local SCHEDULE = {'name', 'data', 'every', 'pattern', 'tz', 'ic'}
function OPS.schedules(B, from, limit)
  local out = {}
  local found = redis.call('ZRANGE', B .. ':repeat', from, from + limit - 1, 'WITHSCORES')
  for k = 1, #found, 2 do
    out[#out + 1] = found[k]
    out[#out + 1] = found[k + 1]
    local fields = fieldsOf(B .. ':repeat:' .. found[k], SCHEDULE)
    for f = 1, #SCHEDULE do out[#out + 1] = fields[f] or '' end
    -- a schedule of an older version has it in its present job only
    out[#out + 1] = fieldsOf(B .. ':repeat:' .. found[k] .. ':' .. found[k + 1], {'aq'})[1]
      or fieldsOf(B .. ':repeat:' .. found[k], {'aq'})[1] or ''
  end
  return out
end
