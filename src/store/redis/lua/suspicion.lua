-- Suspicions, and how one is cleared. A job that was the only one fetched when its pod fell silent may have killed the
-- pod. The claim names the job and the pods that it may have killed: `suspect`, '<pod> <pod> …:<job id>'. A pod that is
-- heard again was not killed: its name is removed, and the job counts as stalled once less. If the pod's event loop was
-- blocked, the job may have blocked it, and the suspicion stays.
-- Both scripts of this store include this file; they define `pod`. Neighbours: `count-stalled.lua` raises a suspicion at
-- a takeover, `renewal.lua` hears pods.

local STALLED_TOO_OFTEN = CORE.STALLED_TOO_OFTEN

-- The pods that a job may have killed, each with a space after it; '' if none is named.
local function victimsOf(suspect, id)
  local pods, named = string.match(suspect or '', '^([^:]*):(.*)$')
  return named and (not id or named == id) and pods or '', named
end

-- This pod is heard: the job that is suspected has not killed it.
local function clearSuspicion(B, suspect)
  local pods, id = victimsOf(suspect)
  local from, to = string.find(pods, pod .. ' ', 1, true)
  -- guards: suspicion.clearSuspicion
  if not from then return end
  local job = B .. ':' .. id
  redis.call('HSET', B .. ':$:worker', 'suspect', string.sub(pods, 1, from - 1) .. string.sub(pods, to + 1) .. ':' .. id)
  local stalls, mustFail = unpack(fieldsOf(job, {'stc', 'defa'}))
  if tonumber(whole(stalls) or '0') < 1 then return end
  redis.call('HINCRBY', job, 'stc', -1)
  if mustFail == STALLED_TOO_OFTEN then redis.call('HDEL', job, 'defa') end
end
