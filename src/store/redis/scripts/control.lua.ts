/**
 * What a person does to one entity, wherever it is worked. With a pause its owner is recalled: what it has fetched and not
 * started goes back.
 * Neighbour: `take.lua.ts` and BullMQ's bodies see to it that nothing is fetched of a queue that is paused or blocked.
 */
export const controlLua = /* lua */ `
-- Sees to it that somebody looks at an entity that may have something to do from now on.
local function lookNow(B, T, I)
  local claim = claimOf(B)
  if isLive(claim) then
    callOwner(B, T, I)
  elseif hasWork(B) then
    lookBy(T, I, nowUs)
    if not callAnother(T, I) then requestWorker(T, I) end
  elseif claim[OWNER] then
    -- its lease has passed, and it may come back, or end this step: only a look gives its claim up
    lookBy(T, I, nowUs)
  else
    -- a person's wish was all that kept it
    settle(B, T, I)
  end
end

-- pause: B T I how ('paused' | 'resumed'); returns {how many jobs an old version's pause still holds back}, {'SHARED', whose}
function OPS.pause(B, T, I, how)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local keys = how == 'paused' and keysOf_pause(B) or keysOf_resume(B)
  local left = BULL.pause(keys, {how, '1'})
  local claim = claimOf(B)
  if how == 'resumed' then
    lookNow(B, T, I)
  elseif claim[OWNER] then
    -- also one whose lease has passed: nobody takes over what is paused, and it may come back
    recall(B, T, I, 'pause')
  else
    hasJobs(B, T, I)
  end
  if not isLive(claim) and not hasWork(B) then redis.call('EXPIRE', B .. ':events', 60) end
  return {left}
end

-- pauseType: T how; takes effect with the next fetch of any of its entities
function OPS.pauseType(T, how)
  pausedTypes[T] = nil
  if how == 'resumed' then redis.call('DEL', sys .. 'paused:' .. T) else redis.call('SET', sys .. 'paused:' .. T, '1') end
  return {'OK'}
end

-- entitiesOf: T cursor count; those that are not drained. Returns {next cursor, I…}
function OPS.entitiesOf(T, cursor, count)
  local page = redis.call('ZSCAN', sys .. 'due:' .. T, cursor, 'COUNT', count)
  local out = {page[1]}
  for k = 1, #page[2], 2 do out[#out + 1] = page[2][k] end
  return out
end

-- tellOfType: T (B I)*; its pause, or the end of it, is told to those who work the entities
function OPS.tellOfType(T, ...)
  local isNow, all = isTypePaused(T), {...}
  for k = 1, #all, 2 do
    if isNow then recall(all[k], T, all[k + 1], 'pause') else lookNow(all[k], T, all[k + 1]) end
  end
  return {'OK'}
end

-- Before all that waits is dropped: what parents wait for elsewhere is told to them, and parents that wait here go.
local function dropFlows(B)
  for _, id in ipairs(redis.call('ZRANGE', B .. ':waiting-children', 0, -1)) do removeJob(B, id) end
  local waiting = {
    redis.call('LRANGE', B .. ':wait', 0, -1),
    redis.call('ZRANGE', B .. ':prioritized', 0, -1),
    redis.call('ZRANGE', B .. ':delayed', 0, -1),
  }
  for _, ids in ipairs(waiting) do
    for _, id in ipairs(ids) do
      if parentOf(B, id) then removeJob(B, id) end
    end
  end
end

-- BullMQ's body cuts as many jobs off the list as it has removed, whichever they are: those that it keeps, the present ones of
-- schedules, are out of its sight meanwhile.
local function drain(B)
  local wait, present, kept = B .. ':wait', {}, {}
  for _, id in ipairs(redis.call('ZRANGE', B .. ':repeat', 0, -1)) do present[presentOf(B, id)] = true end
  if next(present) then
    for _, id in ipairs(redis.call('LRANGE', wait, 0, -1)) do
      if present[id] then kept[#kept + 1] = id end
    end
  end
  for _, id in ipairs(kept) do redis.call('LREM', wait, 1, id) end
  BULL.drain(keysOf_drain(B), {B .. ':', '1'})
  for _, id in ipairs(kept) do redis.call('RPUSH', wait, id) end
end

-- drop: B T I; all that waits, also for later, or for its children, and what was fetched and has not started; returns {'OK'}, {'SHARED', whose}
function OPS.drop(B, T, I)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  dropFlows(B)
  drain(B)
  recall(B, T, I, 'drop')
  if not isLive(claimOf(B)) then lookNow(B, T, I) end
  return {'OK'}
end

-- unblock: B T I how ('retry' | 'skip' | 'drop') jobId ('': whichever); returns {'1'} when it blocked the entity,
-- {'REFUSED', BullMQ's code}
function OPS.unblock(B, T, I, how, jobId)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local id = blockerOf(B)
  if not id or (jobId ~= '' and jobId ~= id) then return {'0'} end
  local job = B .. ':' .. id
  if how == 'retry' then
    redis.call('HSET', job, 'atm', '0')
    redis.call('HDEL', job, 'defa', 'stc', 'thrown')
  elseif how == 'skip' then
    redis.call('HSET', job, 'defa', redis.call('HGET', job, 'failedReason') or 'skipped', 'skip', '1')
  else
    local r = removeJob(B, id)
    if r ~= 1 then return {'REFUSED', r} end
  end
  setHold(B, nil)
  lookNow(B, T, I)
  return {'1'}
end

-- status: B T; returns {waiting, active, delayed, failed, waiting for children, paused ('1' | '0'), id of the job that blocks it, and why, or ''}
function OPS.status(B, T)
  local id = blockerOf(B) or ''
  return {
    redis.call('LLEN', B .. ':wait') + redis.call('ZCARD', B .. ':prioritized'),
    redis.call('LLEN', B .. ':active'),
    redis.call('ZCARD', B .. ':delayed'),
    redis.call('ZCARD', B .. ':failed'),
    redis.call('ZCARD', B .. ':waiting-children'),
    (isTypePaused(T) or isPaused(B)) and '1' or '0',
    id,
    id ~= '' and redis.call('HGET', B .. ':' .. id, 'failedReason') or '',
  }
end

-- Ids from a position on: of lists, whose next one is at their end, or of sets, lowest scores first or last.
local function idsIn(B, state, from, limit)
  local last = from + limit - 1
  if state == 'delayed' or state == 'waiting-children' then return redis.call('ZRANGE', B .. ':' .. state, from, last) end
  if state == 'failed' or state == 'completed' then return redis.call('ZREVRANGE', B .. ':' .. state, from, last) end
  local list = B .. (state == 'active' and ':active' or ':wait')
  local ids = {}
  local part = redis.call('LRANGE', list, -1 - last, -1 - from)
  for i = #part, 1, -1 do ids[#ids + 1] = part[i] end
  if state == 'waiting' and #ids < limit then
    local before = math.max(0, from - redis.call('LLEN', list))
    local more = redis.call('ZRANGE', B .. ':prioritized', before, before + limit - #ids - 1)
    for _, id in ipairs(more) do ids[#ids + 1] = id end
  end
  return ids
end

-- For each job of a queue its id, and these fields; '' where there is none.
local function viewsOf(B, ids, names)
  local out = {}
  for _, id in ipairs(ids) do
    out[#out + 1] = id
    local fields = redis.call('HMGET', B .. ':' .. id, unpack(names))
    for f = 1, #names do out[#out + 1] = fields[f] or '' end
  end
  return out
end

-- list: B state from limit; returns for each job id, name, data, timestamp, tries, why the last one failed, envelope
local VIEW = {'name', 'data', 'timestamp', 'atm', 'failedReason', 'aq'}
function OPS.list(B, state, from, limit)
  return viewsOf(B, idsIn(B, state, tonumber(from), tonumber(limit)), VIEW)
end
`;
