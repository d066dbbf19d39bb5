-- An entity that may have work now: its inspection is scheduled, and a pod is called for it.
-- Neighbours: `due.lua` has the schedule, `wake-ups.lua` and `spawn.lua` call pods, `parent.lua` ends children.

-- Schedules an inspection of an entity that may have work from now on, and calls a pod for it.
local function inspectNow(B, T, I)
  local claim = claimOf(B)
  local untilUs = liveUntil(claim)
  if untilUs then
    -- a paused entity is not scheduled
    -- guards: schedule-inspection.inspectNow
    inspectBy(T, I, untilUs)
    callOwner(B, T, I)
  elseif hasWork(B) then
    inspectBy(T, I, nowUs)
    if not callAnother(T, I) then requestWorker(T, I) end
  elseif claim[OWNER] then
    -- its lease has passed, and it may come back, or end this step: only an inspection gives its claim up
    inspectBy(T, I, nowUs)
  else
    -- only a pause or a block kept it
    giveUpIdle(B, T, I)
  end
end

-- A parent has joined its queue. 'word' names its entity even after the fence has expired. A flow that was added
-- outside this library has no such word: the fence, or the name of the queue, then says it.
function onParentJoined(B, word)
  -- guards: schedule-inspection.onParentJoined
  local T, I = string.match(type(word) == 'string' and word or '', '^([^:]+):(.+)$')
  if not T then T, I = entityOf(B) end
  if not T then return end
  keepQueueAlive(B, T, I)
  inspectNow(B, T, I)
end
