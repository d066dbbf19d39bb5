-- Resync: the owner starts again from a known state. What it has settled is ended first, so that nothing that is done
-- runs again (race 28); the rest goes back, and the first of it is fetched.
-- Owns: which ends that are sent again still count. Neighbours: `finish.lua` ends jobs, `grant.lua` grants the new
-- epoch.

-- guards: resync.differ
local function differ(one, other) return whole(one) and whole(other) and one ~= other end

-- Whether another job has the id now. Obliterating a queue resets its numbers, and two times may be equal, so either
-- one tells. A damaged or mended hash tells nothing: skipping an end runs its job again.
local function isOther(B, id, wasNth, wasAdded)
  local name, nth, added = unpack(fieldsOf(B .. ':' .. id, {'name', 'nth', 'timestamp'}))
  -- guards: resync.isOther
  if not name then return false end
  return differ(wasNth, nth) or differ(wasAdded, added)
end

-- The ends that may still count, of ends that are sent again, each after the birth of its job. The response to an
-- earlier one may have been lost, and another job added under its id since.
local function stillOpen(B, ends)
  local open = {}
  for e = 1, #ends, SENT_END_SIZE do
    local first = e + SENT_END_END
    -- guards: resync.stillOpen
    if not isOther(B, ends[first + END_JOB_ID], ends[e + SENT_END_NTH], ends[e + SENT_END_ADDED_AT]) then
      for i = first, first + END_SIZE - 1 do open[#open + 1] = ends[i] end
    end
  end
  return open
end

-- Ends a part of what is settled, before the resync that ends the rest. None of these is retried. Rest: SENT_END*.
-- Returns {'OK'}
function OPS.endBeforeResync(B, epoch, newEpoch, ...)
  local claim = claimOf(B)
  -- Any epoch between the known one and the new one is ours: the response to an earlier resync may have been lost.
  -- guards: resync.OPS.endBeforeResync
  local known = claim[OWNER] == pod and epochOf(claim)
  if not known or known < tonumber(epoch) or known >= tonumber(newEpoch) then return {'STALE'} end
  finishTogether(B, stillOpen(B, {...}))
  return {'OK'}
end

-- Rest: SENT_END*. Returns {'OK', token, 0, 0, againInMs, jobs…}, like a claim | {'STALE'}
function OPS.resync(B, T, I, epoch, newEpoch, takeOpts, ...)
  local claim = claimOf(B)
  if claim[OWNER] == pod and not claim[ENTITY] then
    claims[B] = nil
    redis.call('HSET', fence(B), 'entity', T .. ':' .. I)
  end
  if OPS.endBeforeResync(B, epoch, newEpoch, ...)[1] == 'STALE' then return {'STALE'} end
  local out = {'OK', grant(B, T, I, newEpoch, 0, true), 0, 0}
  take(B, 1, takeOpts, out, 5)
  return out
end
