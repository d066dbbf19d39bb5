-- Routes a job that was added: to a handler of this pod, to the owner of its entity, to another pod, or to the
-- inspection schedule. One step with the add, so that a producer that dies right after it leaves nothing undone (I5,
-- I7). Hints of the caller say what it asks for; this file decides what is true.
-- Neighbours: `intake.lua` and `flow.lua` add jobs, `grant.lua` claims, `take.lua` fetches, `wake-ups.lua` calls pods.

-- Routes a job that was added. An active job will fetch its successor when it ends; a fetch or a call is needed only if
-- handlers are free.
local function route(B, T, I, id, claim, kind, epoch, mayClaim, takeOpts, maxStalled, handlers, maxActive)
  -- guards: route.route
  if claim[OWNER] == pod then
    if claim[EPOCH] ~= epoch then
      if claim[DORMANT] then callOwner(B, T, I) end
      return {'UNKNOWN', id}
    end
    local out = {'LOCAL', id, reactivate(B, T, I), '-1'}
    if redis.call('LLEN', B .. ':active') < tonumber(maxActive) then take(B, 1, takeOpts, out, 4) end
    return out
  end
  if isOthers(claim) then
    local fetched = redis.call('LLEN', B .. ':active')
    local isBusy = (fetched >= tonumber(handlers) and not isGathering(claim, fetched)) or heldForMs(B)
    if claim[DORMANT] or not isBusy then callOwner(B, T, I) end
    return {'REMOTE', id}
  end
  if kind ~= 'delayed' and mayClaim == '1' then
    local token, recovered, foreign = grant(B, T, I, epoch, maxStalled)
    if token then
      local out = {'CLAIMED', id, token, recovered, foreign}
      take(B, 1, takeOpts, out, 6)
      return out
    end
  end
  keepQueueAlive(B, T, I)
  local atUs = nowUs
  if kind == 'delayed' then
    local score = redis.call('ZSCORE', B .. ':delayed', id)
    if score then atUs = math.floor(tonumber(score) / 0x1000) * 1000 end
  end
  inspectBy(T, I, atUs)
  if kind == 'delayed' then return {'DELAYED', id} end
  -- the first pod that has capacity again finds the request
  if not callAnother(T, I) then requestWorker(T, I) end
  return {'UNOWNED', id}
end
