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

-- Of a run whose id says so.
local function scheduleOf(jobId) return string.match(jobId, '^repeat:(.+):%d+$') end

-- The options of a run; where its hash was deleted, or is damaged, those that its schedule has.
local TIMES = {'every', 'pattern', 'tz', 'limit', 'startDate', 'endDate', 'offset'}
local function runOptions(B, id, json)
  local opts = tableOf(json)
  if type(opts['repeat']) == 'table' then return opts end
  local key = B .. ':repeat:' .. id
  local times, template, count = fieldsOf(key, TIMES), unpack(fieldsOf(key, {'opts', 'ic'}))
  opts = tableOf(template)
  opts['repeat'] = {count = tonumber(count) or 1}
  for t, name in ipairs(TIMES) do
    local isText = name == 'pattern' or name == 'tz'
    if times[t] then opts['repeat'][name] = isText and times[t] or tonumber(times[t]) end
  end
  return opts
end

-- A run whose hash was deleted before it was fetched tells its pod what it would have told: when its schedule runs next.
local function asRun(B, jobId, fields)
  if string.sub(jobId, 1, 7) ~= 'repeat:' then return fields end
  for f = 1, #fields, 2 do
    if fields[f] == 'opts' then return fields end
  end
  local id = scheduleOf(jobId)
  if id and jobId == presentOf(B, id) then
    for _, value in ipairs({'rjk', id, 'opts', cjson.encode(runOptions(B, id))}) do fields[#fields + 1] = value end
  end
  return fields
end

-- Where a run by an interval has its time taken already, which BullMQ's update does not look behind: moves the schedule on to before
-- the next time that is free, and answers the id that its present run would have there. The steps grow: many may be kept.
local function skipTaken(B, id, every)
  local key, step, looks = B .. ':repeat:' .. id, every, 0
  local atMs = tonumber((redis.call('ZSCORE', B .. ':repeat', id)))
  atMs = atMs + every * math.max(1, math.ceil((nowMs - atMs) / every))
  while redis.call('EXISTS', key .. ':' .. string.format('%.0f', atMs)) == 1 do
    atMs, looks = atMs + step, looks + 1
    if looks % 1000 == 0 then step = 2 * step end
  end
  local before = string.format('%.0f', atMs - every)
  redis.call('ZADD', B .. ':repeat', before, id)
  return 'repeat:' .. id .. ':' .. before
end

-- A job of a schedule ends. 'nextMs': when it runs next, by its pattern; '0' by its interval, which BullMQ's body knows; 'over'.
-- An end that comes twice, or of a schedule that was put anew, is not of its present job: nothing is done. The schedule has the
-- envelope, too: the hash of its run may be gone.
local function advance(B, jobId, nextMs)
  local id, json, envelope = unpack(redis.call('HMGET', B .. ':' .. jobId, 'rjk', 'opts', 'aq'))
  id = id or scheduleOf(jobId)
  if not id or jobId ~= presentOf(B, id) then return end
  local key = B .. ':repeat:' .. id
  local kind = redis.call('TYPE', key).ok
  -- what is no hash can't say when it runs next
  if nextMs == 'over' or (kind ~= 'hash' and kind ~= 'none') then
    BULL.removeJobScheduler(keysOf.removeJobScheduler(B), {id, B .. ':'})
    return
  end
  local opts = runOptions(B, id, json)
  local times = opts['repeat']
  times.count = (tonumber(times.count) or 1) + 1
  -- Of its time there may be one that somebody has moved before it: it waits for its next try, or has failed and is kept.
  while nextMs ~= '0' and redis.call('EXISTS', key .. ':' .. nextMs) == 1 do
    nextMs = string.format('%.0f', nextMs + 1)
  end
  opts.prevMillis = nextMs ~= '0' and tonumber(nextMs) or nil
  envelope = envelope or redis.call('HGET', key, 'aq')
  local function update(producer)
    return BULL.updateJobScheduler(keysOf.updateJobScheduler(B, jobId), {nextMs, id, '{}', opts, nowMs, B .. ':', producer})
  end
  local every = nextMs == '0' and tonumber(redis.call('HGET', key, 'every') or times.every)
  local nextId = update(jobId) or every and update(skipTaken(B, id, every))
  if envelope and nextId then redis.call('HSET', B .. ':' .. nextId, 'aq', envelope) end
end
`;

export const scheduleLua = /* lua */ `
local function hasStarted(B, jobId) return (tonumber(redis.call('HGET', B .. ':' .. jobId, 'ats') or '0') or 1) > 0 end

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
  if redis.call('EXISTS', B .. ':id') == 0 then restoreIdCounter(B) end
  local r = sparingStarted(B, id, function() return BULL.addJobScheduler(keysOf.addJobScheduler(B), args) end)
  if type(r) == 'number' then return {'REFUSED', r} end
  local next = redis.call('ZSCORE', B .. ':repeat', id)
  if envelope ~= '' then
    redis.call('HSET', B .. ':repeat:' .. id .. ':' .. next, 'aq', envelope)
    redis.call('HSET', B .. ':repeat:' .. id, 'aq', envelope)
  end
  keepQueueAlive(B, T, I)
  lookNow(B, T, I)
  return {'OK', next}
end

-- unschedule: B T I id; a job of it that is due already still runs. Returns {'1'} when there was one, {'0'}, {'SHARED', whose}
function OPS.unschedule(B, T, I, id)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  if not presentOf(B, id) then return {'0'} end
  sparingStarted(B, id, function() BULL.removeJobScheduler(keysOf.removeJobScheduler(B), {id, B .. ':'}) end)
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
    local fields = fieldsOf(B .. ':repeat:' .. found[k], SCHEDULE)
    for f = 1, #SCHEDULE do out[#out + 1] = fields[f] or '' end
    -- a schedule of before has it in its present job only
    out[#out + 1] = fieldsOf(B .. ':repeat:' .. found[k] .. ':' .. found[k + 1], {'aq'})[1]
      or fieldsOf(B .. ':repeat:' .. found[k], {'aq'})[1] or ''
  end
  return out
end
`;
