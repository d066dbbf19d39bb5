-- The owner gives its claim up, with the jobs that it has fetched and not started.
-- Neighbours: `give-back.lua` moves the jobs, `idle-entity.lua` gives up claims, `wake-ups.lua` and `spawn.lua` find the
-- next owner.

-- Returns {'OK', '1'} if the claim is given up, {'OK', '0'} if there is work after all, {'STALE'}
function OPS.release(B, T, I, epoch, mode)
  -- guards: release.OPS.release
  if not owns(B, epoch) then return {'STALE'} end
  -- no handler runs, and every end is confirmed
  if mode ~= 'idle' then giveBackUnstarted(B) end
  if not hasWork(B) then
    giveUpIdle(B, T, I)
    return {'OK', '1'}
  end
  if isParked(B) then
    giveUp(B)
    park(B, T, I)
    return {'OK', '1'}
  end
  local waitsUs = (heldForLongMs(B) or 0) * 1000
  if mode == 'idle' and waitsUs == 0 then return {'OK', '0'} end
  giveUp(B)
  inspectAfter(T, I, waitsUs)
  if mode ~= 'idle' and waitsUs == 0 and not callAnother(T, I) and mode == 'hand-over' then requestWorker(T, I) end
  return {'OK', '1'}
end

-- Gives all jobs back, for pods that know the name of the next one (races 13, 32).
-- Returns {'OK', '1'} if the claim is given up, {'OK', '0'} if the job was deferred for longer than graceMs, {'STALE'}
-- guards: release.OPS.defer
function OPS.defer(B, T, I, epoch, jobId, graceMs)
  if not owns(B, epoch) then return {'STALE'} end
  local job = B .. ':' .. jobId
  if graceMs == '0' or redis.call('EXISTS', job) == 0 then return {'OK', '0'} end
  redis.call('HSETNX', job, 'left', nowMs)
  if tonumber(nowMs) - (tonumber(redis.call('HGET', job, 'left')) or 0) >= tonumber(graceMs) then
    -- when an operator retries it, it has all its time again
    redis.call('HDEL', job, 'left')
    return {'OK', '0'}
  end
  giveBackUnstarted(B)
  giveUp(B)
  -- For the pod that sweeps next: a call would go back and forth between two pods that don't know the name.
  inspectAfter(T, I, 0)
  return {'OK', '1'}
end
