-- The owner gives jobs back, or its claim up.
-- Neighbours: `give-back.lua` moves the jobs, `settle.lua` gives up claims, `wake-ups.lua` and `spawn.lua` find the next owner.

-- giveBack: B epoch | id… of what has started, or has ended and is not confirmed
function OPS.giveBack(B, epoch, ...)
  if not mine(B, epoch) then return {'STALE'} end
  local kept = {}
  for _, id in ipairs({...}) do kept[id] = true end
  giveBackUnstarted(B, kept)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'recall')
  return {'OK'}
end

-- release: B T I epoch mode ('idle' | 'hand-over' | 'give-way')
-- Returns {'OK', '1'} when the claim is given up, {'OK', '0'} when there is work after all, {'STALE'}.
function OPS.release(B, T, I, epoch, mode)
  if not mine(B, epoch) then return {'STALE'} end
  -- no handler runs, and every end is confirmed
  if mode ~= 'idle' then giveBackUnstarted(B) end
  if not hasWork(B) then
    settle(B, T, I)
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
  lookAgain(T, I, waitsUs)
  if mode ~= 'idle' and waitsUs == 0 and not callAnother(T, I) and mode == 'hand-over' then requestWorker(T, I) end
  return {'OK', '1'}
end

-- leave: B T I epoch jobId graceMs: gives everything back for pods that know the name of the next job (races 13, 32)
-- Returns {'OK', '1'} when it is left, {'OK', '0'} when it was left for longer than that, {'STALE'}.
function OPS.defer(B, T, I, epoch, jobId, graceMs)
  if not mine(B, epoch) then return {'STALE'} end
  local job = B .. ':' .. jobId
  if graceMs == '0' or redis.call('EXISTS', job) == 0 then return {'OK', '0'} end
  redis.call('HSETNX', job, 'left', nowMs)
  if tonumber(nowMs) - (tonumber(redis.call('HGET', job, 'left')) or 0) >= tonumber(graceMs) then
    -- tried again by a person, it has its time again
    redis.call('HDEL', job, 'left')
    return {'OK', '0'}
  end
  giveBackUnstarted(B)
  giveUp(B)
  -- For whichever pod sweeps next: a call would go back and forth between two that don't know it.
  lookAgain(T, I, 0)
  return {'OK', '1'}
end
