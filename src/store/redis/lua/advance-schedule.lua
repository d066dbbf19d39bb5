-- Schedules, on BullMQ's Job Schedulers. A schedule has one job at a time, for its next run. The run after that is made
-- in the step that ends the job. So no crash ends a schedule, and runs do not pile up behind a long one.
-- Owns: the next run of a schedule. Neighbours: `finish.lua` ends jobs, `schedules.lua` changes schedules,
-- `operator/schedules.ts` knows patterns, which Redis does not.

-- The id of a schedule's present job, which waits, runs or is delayed.
local function presentOf(B, id)
  local score = redis.call('ZSCORE', B .. ':repeat', id)
  return score and 'repeat:' .. id .. ':' .. score
end

-- The schedule of a run, as its id says.
local function scheduleOf(jobId) return string.match(jobId, '^repeat:(.+):%d+$') end

-- BullMQ's bodies compute the time of the next run themselves if they are given this one.
local BY_INTERVAL = '0'

-- The options of a run. If its hash was deleted or is damaged, the options of its schedule.
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

-- A run whose hash was deleted before it was fetched still tells its pod when its schedule runs next.
local function asRun(B, jobId, fields)
  -- guards: advance-schedule.asRun
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

-- For a schedule by an interval whose next time is taken, which BullMQ's update does not see. Moves the schedule to
-- just before the next free time, and returns the id of a run at that time. The steps grow, since many times may be
-- taken.
local function skipTaken(B, id, every)
  local key, step, looks = B .. ':repeat:' .. id, every, 0
  local atMs = tonumber((redis.call('ZSCORE', B .. ':repeat', id)))
  atMs = atMs + every * math.max(1, math.ceil((nowMs - atMs) / every))
  while redis.call('EXISTS', key .. ':' .. string.format('%.0f', atMs)) == 1 do
    -- guards: advance-schedule.skipTaken
    atMs, looks = atMs + step, looks + 1
    if looks % 1000 == 0 then step = 2 * step end
  end
  local before = string.format('%.0f', atMs - every)
  redis.call('ZADD', B .. ':repeat', before, id)
  return 'repeat:' .. id .. ':' .. before
end

-- A job of a schedule ends. 'nextRun': the time of the next run by its pattern, 'interval', which BullMQ's body
-- computes, or 'over'. Does nothing if the job is not the schedule's present one: the end came twice, or the schedule
-- was put again. The schedule keeps the envelope too, since the hash of its run may be gone.
local function advance(B, jobId, nextRun)
  local id, json, envelope = unpack(redis.call('HMGET', B .. ':' .. jobId, 'rjk', 'opts', 'aq'))
  -- guards: advance-schedule.advance
  id = id or scheduleOf(jobId)
  if not id or jobId ~= presentOf(B, id) then return end
  local key = B .. ':repeat:' .. id
  local kind = redis.call('TYPE', key).ok
  -- without a hash, there is nothing that says when it runs next
  if nextRun == 'over' or (kind ~= 'hash' and kind ~= 'none') then
    BULL.removeJobScheduler(keysOf.removeJobScheduler(B), {id, B .. ':'})
    return
  end
  local opts = runOptions(B, id, json)
  local times = opts['repeat']
  times.count = (tonumber(times.count) or 1) + 1
  local byInterval = nextRun == 'interval'
  local nextMs = byInterval and BY_INTERVAL or nextRun
  -- A run of that time may have been moved ahead: it waits for its next attempt, or has failed and is kept.
  while not byInterval and redis.call('EXISTS', key .. ':' .. nextMs) == 1 do
    nextMs = string.format('%.0f', nextMs + 1)
  end
  opts.prevMillis = not byInterval and tonumber(nextMs) or nil
  envelope = envelope or redis.call('HGET', key, 'aq')
  local function update(producer)
    return BULL.updateJobScheduler(keysOf.updateJobScheduler(B, jobId), {nextMs, id, '{}', opts, nowMs, B .. ':', producer})
  end
  local every = byInterval and tonumber(redis.call('HGET', key, 'every') or times.every)
  local nextId = update(jobId) or every and update(skipTaken(B, id, every))
  if envelope and nextId then redis.call('HSET', B .. ':' .. nextId, 'aq', envelope) end
end
