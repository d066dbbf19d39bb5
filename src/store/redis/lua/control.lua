-- What an operator does to one entity, or to a type, wherever it is worked: pause, resume, unblock. A pause recalls the owner: what it
-- has fetched and not started goes back.
-- Neighbours: `take.lua` and BullMQ's bodies fetch nothing of a queue that is paused or blocked; `drop-jobs.lua` and `job-views.lua` have
-- the other commands of an operator.

-- pause: B T I how ('paused' | 'resumed'); returns {how many jobs an old version's pause still holds back}, {'SHARED', whose}
function OPS.pause(B, T, I, how)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local keys = how == 'paused' and keysOf.pause(B) or keysOf.resume(B)
  local left = BULL.pause(keys, {how, '1'})
  local claim = claimOf(B)
  if how == 'resumed' then
    lookNow(B, T, I)
  elseif claim[OWNER] then
    -- also one whose lease has passed: nobody takes over what is paused, and it may come back
    recall(B, T, I, 'pause')
  else
    keepQueueAlive(B, T, I)
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
