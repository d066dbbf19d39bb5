-- Wake-ups: hints to pods that an entity has work, or that its owner is to give back what it has fetched.
-- Owns: the set `{prefix}:$:pod:<pod>:wake`. A hint may be lost: the inspection schedule alone is the truth (I7).
-- Neighbours: `due.lua` has that schedule, `spawn.lua` asks pods when none has capacity.

-- A wake-up is a hint in the set of one pod, which may be dead: it expires.
local function tell(podId, word)
  local key = sys .. 'pod:' .. podId .. ':wake'
  -- guards: wake-ups.tell
  redis.call('ZADD', key, 'NX', string.format('%.0f', nowUs), word)
  redis.call('PEXPIRE', key, 60000)
end
local function wake(podId, T, I) tell(podId, T .. ':' .. I) end

-- Tells the owner of work. The hint may be lost, and the owner dead, or without a worker: a dormant claim lasts no
-- longer than a lease from now on.
local function callOwner(B, T, I)
  local claim = claimOf(B)
  wake(claim[OWNER], T, I)
  if not claim[DORMANT] then return end
  claims[B] = nil
  -- guards: wake-ups.callOwner
  local untilUs = math.min(tonumber(whole(claim[UNTIL]) or MAX_WHOLE), nowUs + leaseUs)
  redis.call('HSET', fence(B), 'until', string.format('%.0f', untilUs))
  inspectBy(T, I, untilUs)
end

-- Calls one other live pod that has capacity for the type. For one entity it is always the same pod, so that they do
-- not race for it; many entities call all pods. Returns whether there is one.
local function callAnother(T, I)
  local pods = redis.call('ZRANGEBYSCORE', sys .. 'pods:' .. T, string.format('%.0f', nowUs - leaseUs), '+inf')
  local others = {}
  table.sort(pods)
  for _, id in ipairs(pods) do if id ~= pod then others[#others + 1] = id end end
  if #others == 0 then return false end
  wake(others[tonumber(string.sub(redis.sha1hex(I), 1, 8), 16) % #others + 1], T, I)
  return true
end

-- An operator has paused the queue, or dropped its jobs ('drop'): its owner must give back what it has fetched. The
-- hint is the quick way; the mark in the claim tells with the next end of a job if the hint is lost. No name begins
-- with '$'.
local function recall(B, T, I, why)
  local claim = claimOf(B)
  if not claim[OWNER] or redis.call('EXISTS', B .. ':active') == 0 then return end
  claims[B] = nil
  -- guards: wake-ups.recall
  redis.call('HSET', fence(B), 'recall', claim[RECALL] == 'drop' and 'drop' or why)
  tell(claim[OWNER], '$' .. T .. ':' .. I)
end
