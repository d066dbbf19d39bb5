-- The inspection of an entity: the one decision about an entity that this pod does not work. The pod claims it, cleans it up,
-- or leaves it to another pod or to a later time.
-- Neighbours: `grant.lua` grants the claim, `idle-entity.lua` gives up the claim of an entity without work, `release.lua`
-- ends a claim.

-- Without an epoch it claims nothing.
-- Returns {'CLAIMED', token, recovered, foreign, againInMs, jobs…} | {'OWNED'} | {'PAUSED'} | {'LATER'} | {'WAITING'} |
-- {'STALE'}
function OPS.tryClaim(B, T, I, epoch, takeOpts, maxStalled)
  local claim = claimOf(B)
  -- A late call of ours must not give up the claim that came after it. A pod that only asks, without capacity, does not
  -- know of a claim of its own: a response was lost (race 26).
  -- guards: try-claim.OPS.tryClaim
  if claim[OWNER] == pod and (tonumber(epoch) or 0) <= epochOf(claim) then
    return {epoch == '' and hasWork(B) and not isPaused(B) and 'WAITING' or 'STALE'}
  end
  if isOthers(claim) then
    redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', liveUntil(claim)), I)
    return {'OWNED'}
  end
  if not hasWork(B) then
    giveUpIdle(B, T, I)
    return {'LATER'}
  end
  if isParked(B) then
    park(B, T, I)
    return {isPaused(B) and 'PAUSED' or 'LATER'}
  end
  -- what a dead owner had fetched, and what was put before the head since, does not wait with it
  local held = redis.call('EXISTS', B .. ':active') == 0 and heldForLongMs(B)
  if held then
    inspectAfter(T, I, held * 1000)
    return {'LATER'}
  end
  if epoch == '' then return {'WAITING'} end
  local token, recovered, foreign = grant(B, T, I, epoch, maxStalled)
  if not token then return {recovered} end
  local out = {'CLAIMED', token, recovered, foreign}
  take(B, 1, takeOpts, out, 5)
  return out
end
