-- Grants claims: the first claim of an entity, a takeover, a resync, and adoption after a lost response.
-- Owns: the end of dormancy, and the owner and token of a claim. Neighbours: `claim-record.lua` reads claims, `give-back.lua`
-- gives back what the last owner had fetched, `count-stalled.lua` counts the job that may have killed that owner.

-- The owner has something to do: a dormant claim lasts a lease from now on. Returns '1' then.
local function reactivate(B, T, I)
  if not claimOf(B)[DORMANT] then return '0' end
  claims[B] = nil
  local untilUs = string.format('%.0f', nowUs + leaseUs)
  redis.call('HSET', fence(B), 'until', untilUs)
  -- guards: grant.reactivate
  redis.call('HDEL', fence(B), 'rests')
  redis.call('ZADD', sys .. 'due:' .. T, untilUs, I)
  return '1'
end

-- Removes the owner; a pending drop stays.
local function disown(B)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'owner', 'epoch', 'until', 'rests', 'gathers', 'runs')
end

-- Grants the claim for an epoch, or returns nil and why not. Four cases: first claim, takeover, resync by the owner,
-- adoption after a lost response. An epoch that is not newer belongs to a call that arrives late. Only an owner that
-- knows its token keeps it: an adopted claim may be one that a failover has brought back after another pod had a newer
-- token (I4).
local function grant(B, T, I, epoch, maxStalled, keepsToken)
  local claim = claimOf(B)
  -- a damaged token is replaced by one made of the time
  -- guards: grant.grant
  local owner, token = claim[OWNER], whole(claim[TOKEN])
  if owner == pod and tonumber(epoch) <= epochOf(claim) then return nil, 'STALE' end
  if isOthers(claim) then return nil, 'OWNED' end
  if not keepsToken or not token then
    token = string.format('%.0f', math.max(tonumber(token or '0') + 1, nowUs))
  end
  if claim[RECALL] and not claim[ENTITY] then claim[ENTITY], claim[TYPE] = T .. ':' .. I, T end
  -- An owner that resyncs has told which jobs it started: they are settled.
  local back, foreign, isMore = (keepsToken and giveBackUnstarted or recover)(B)
  if isMore then
    -- nothing is fetched before all of it is back, in its order; the next inspection goes on
    disown(B)
    inspectBy(T, I, nowUs)
    return nil, 'LATER'
  end
  local recovered = 0
  if owner ~= pod and #back > 0 then
    recovered = #back
    if #back == 1 then countStalled(B, back[1], claim, maxStalled) end
  end
  claims[B] = nil
  local untilUs = string.format('%.0f', nowUs + leaseUs)
  redis.call('HSET', fence(B), 'owner', pod, 'epoch', epoch, 'until', untilUs,
    'entity', T .. ':' .. I, 'token', token)
  if claim[DORMANT] or claim[RECALL] or claim[GATHERS] then redis.call('HDEL', fence(B), 'rests', 'recall', 'gathers') end
  -- a new hash has no expiry
  if claim[ENTITY] then redis.call('PERSIST', fence(B)) end
  redis.call('PERSIST', B .. ':events')
  redis.call('ZADD', sys .. 'due:' .. T, untilUs, I)
  return token, recovered, foreign
end
