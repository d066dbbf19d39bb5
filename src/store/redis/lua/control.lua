-- What an operator does to one entity, or to a type, wherever it is worked: pause, resume, unblock. A pause recalls the
-- owner: what it has fetched and not started goes back.
-- Neighbours: `take.lua` and BullMQ's bodies fetch nothing of a queue that is paused or blocked; `drop-jobs.lua` and
-- `job-views.lua` have the other commands of an operator.

-- Returns {how many jobs a pause by an older version still holds back} | {'SHARED', entity}
function OPS.pause(B, T, I, change)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local keys = change == 'paused' and keysOf.pause(B) or keysOf.resume(B)
  local left = BULL.pause(keys, {change, '1'})
  local claim = claimOf(B)
  if change == 'resumed' then
    inspectNow(B, T, I)
  elseif claim[OWNER] then
    -- also an owner whose lease has passed: no pod takes over a paused entity, and the owner may come back
    -- guards: control.OPS.pause
    recall(B, T, I, 'pause')
  else
    keepQueueAlive(B, T, I)
  end
  if not isLive(claim) and not hasWork(B) then redis.call('EXPIRE', B .. ':events', 60) end
  return {left}
end

-- Takes effect with the next fetch of each entity of the type.
function OPS.pauseType(T, change)
  pausedTypes[T] = nil
  if change == 'resumed' then redis.call('DEL', sys .. 'paused:' .. T) else redis.call('SET', sys .. 'paused:' .. T, '1') end
  return {'OK'}
end

-- The entities of a type that are not drained, a page of them. Returns {next cursor, I…}
function OPS.entitiesOf(T, cursor, count)
  local page = redis.call('ZSCAN', sys .. 'due:' .. T, cursor, 'COUNT', count)
  local out = {page[1]}
  for k = 1, #page[2], 2 do out[#out + 1] = page[2][k] end
  return out
end

-- Rest: QUEUE*. Tells the owners of these entities that their type was paused, or resumed.
function OPS.tellOfType(T, ...)
  local isNow, all = isTypePaused(T), {...}
  for k = 1, #all, QUEUE_SIZE do
    local B, I = all[k + QUEUE_B], all[k + QUEUE_I]
    -- guards: control.OPS.tellOfType
    if isNow then recall(B, T, I, 'pause') else inspectNow(B, T, I) end
  end
  return {'OK'}
end

-- jobId: '' for any job that blocks the entity
-- Returns {'1'} if that job blocked the entity, {'0'}, {'REFUSED', BullMQ's code} or {'SHARED', entity}
function OPS.unblock(B, T, I, how, jobId)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local id = blockerOf(B)
  if not id or (jobId ~= '' and jobId ~= id) then return {'0'} end
  local job = B .. ':' .. id
  if how == 'retry' then
    redis.call('HSET', job, 'atm', '0')
    -- guards: control.OPS.unblock
    redis.call('HDEL', job, 'defa', 'stc', 'thrown')
  elseif how == 'skip' then
    redis.call('HSET', job, 'defa', redis.call('HGET', job, 'failedReason') or 'skipped', 'skip', '1')
  else
    local r = removeJob(B, id)
    if r ~= 1 then return {'REFUSED', r} end
  end
  setHold(B, nil)
  inspectNow(B, T, I)
  return {'1'}
end
