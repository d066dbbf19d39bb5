/**
 * Schedules, on BullMQ's Job Schedulers: each has one job at a time, for its next run. The run after that is made in the step in
 * which the job ends, so no crash ends a schedule, and runs do not pile up behind one that takes long.
 * Neighbours: `finish.lua.ts` ends jobs; `schedules.ts` knows patterns, which Redis does not.
 */
export const advanceLua = /* lua */ `
-- A job of a schedule ends. 'nextMs': when it runs next, by its pattern; '0' by its interval, which BullMQ's body knows; 'over'.
-- An end that comes twice, or of a schedule that was put anew, is not of its present job: nothing is done.
local function advance(B, jobId, nextMs)
  local id, json, envelope = unpack(redis.call('HMGET', B .. ':' .. jobId, 'rjk', 'opts', 'aq'))
  local score = id and redis.call('ZSCORE', B .. ':repeat', id)
  if not score or jobId ~= 'repeat:' .. id .. ':' .. score then return end
  if nextMs == 'over' then
    BULL.removeJobScheduler(keysOf_removeJobScheduler(B), {id, B .. ':'})
    return
  end
  local opts = cjson.decode(json)
  opts['repeat'].count = (tonumber(opts['repeat'].count) or 1) + 1
  opts.prevMillis = nextMs ~= '0' and tonumber(nextMs) or nil
  local nextId = BULL.updateJobScheduler(keysOf_updateJobScheduler(B, jobId), {nextMs, id, '{}', opts, nowMs, B .. ':', jobId})
  if envelope and nextId then redis.call('HSET', B .. ':' .. nextId, 'aq', envelope) end
end
`;

export const scheduleLua = /* lua */ `
-- schedule: B T I id nextMs ('0' with an interval) what template opts data envelope; 'what', 'template' and 'opts' are JSON: what BullMQ
-- keeps of the schedule, of the options of its jobs, and the options of the first
-- Returns {'OK', when it runs next, in ms}, {'REFUSED', BullMQ's code}, {'SHARED', whose}
function OPS.schedule(B, T, I, id, nextMs, what, template, opts, data, envelope)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local args = {nextMs, cjson.decode(what), id, data, cjson.decode(template), cjson.decode(opts), nowMs, B .. ':', ''}
  local r = BULL.addJobScheduler(keysOf_addJobScheduler(B), args)
  if type(r) == 'number' then return {'REFUSED', r} end
  local next = redis.call('ZSCORE', B .. ':repeat', id)
  if envelope ~= '' then redis.call('HSET', B .. ':repeat:' .. id .. ':' .. next, 'aq', envelope) end
  hasJobs(B, T, I)
  lookNow(B, T, I)
  return {'OK', next}
end

-- unschedule: B T I id; a job of it that is due already still runs. Returns {'1'} when there was one, {'0'}
function OPS.unschedule(B, T, I, id)
  if not redis.call('ZSCORE', B .. ':repeat', id) then return {'0'} end
  BULL.removeJobScheduler(keysOf_removeJobScheduler(B), {id, B .. ':'})
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
