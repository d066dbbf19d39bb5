-- A takeover counts the job that may have killed the last owner as stalled, and suspects it.
-- Owns: the count `stc` of a job as it rises, and the failure of a job that has stalled too often. Neighbours: `grant.lua` takes
-- over, `suspicion.lua` has the record of a suspicion, and takes the count back if the pod is heard again.

-- The only fetched job of a dead pod is the one that ran: it counts as stalled. If several were fetched, none is
-- suspected (I5).
local function countStalled(B, id, claim, maxStalled)
  local ok, count = pcall(write, 'HINCRBY', B .. ':' .. id, 'stc', 1)
  if not ok then
    mendJob(B, id)
    return
  end
  if claim[OWNER] then
    redis.call('HSET', fence(B), 'suspect', victimsOf(claim[SUSPECT], id) .. claim[OWNER] .. ' :' .. id)
  end
  redis.call('XADD', B .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'stalled', 'jobId', id)
  if count > tonumber(maxStalled) then redis.call('HSET', B .. ':' .. id, 'defa', STALLED_TOO_OFTEN) end
end
