-- Schedules, on BullMQ's Job Schedulers: each has one job at a time, for its next run. The run after that is made in the step in
-- which the job ends, so no crash ends a schedule, and runs do not pile up behind one that takes long.
-- Neighbours: `finish.lua` ends jobs; `schedules.ts` knows patterns, which Redis does not.

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
