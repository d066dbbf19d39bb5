/**
 * Claims: who works an entity, and the guard of every step (I1, I3, I4).
 *
 * A pod never uses an epoch twice, so owner and epoch together name one claim; the token is the fence for the world
 * outside. Release keeps the token: the hash is also the fence, and expires a day after its last use. It says whose queue
 * it is, too.
 */
export const claimLua = /* lua */ `
local function fence(B) return B .. ':$:worker' end

-- The one guard. Whatever 'until' says: an outage longer than the lease is harmless where nobody took over.
local function mine(B, epoch)
  local c = redis.call('HMGET', fence(B), 'owner', 'epoch')
  return c[1] == pod and c[2] == epoch
end

local function isForeign(B, id)
  local holder = redis.call('GET', B .. ':' .. id .. ':lock')
  return holder and string.sub(holder, 1, 3) ~= 'aq:'
end

-- Gives back what was fetched, in its old order. Active is newest first; what is pushed last is taken next. Jobs under
-- a live lock that is not ours belong to a plain BullMQ worker: left alone.
local function giveBack(B)
  local back = {}
  local foreign = 0
  local active = redis.call('LRANGE', B .. ':active', 0, -1)
  for position, id in ipairs(active) do
    if isForeign(B, id) then
      foreign = foreign + 1
    else
      redis.call('LREM', B .. ':active', 1, id)
      redis.call('DEL', B .. ':' .. id .. ':lock')
      redis.call('SREM', B .. ':stalled', id)
      if redis.call('EXISTS', B .. ':' .. id) == 1 then
        local priority = tonumber(redis.call('HGET', B .. ':' .. id, 'priority') or '0') or 0
        if priority > 0 then
          redis.call('ZADD', B .. ':prioritized', priority * 0x100000000 + #active - position, id)
        else
          redis.call('RPUSH', B .. ':wait', id)
        end
        redis.call('XADD', B .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
        back[#back + 1] = id
      end
    end
  end
  return back, foreign
end

-- Gives back what has certainly not started: fetching it was no attempt.
local function giveBackUnstarted(B)
  local back, foreign = giveBack(B)
  for _, id in ipairs(back) do redis.call('HINCRBY', B .. ':' .. id, 'ats', -1) end
  return back, foreign
end

-- A job that lost its pod while it was the only one fetched is the one that ran: it counts as stalled. Where several
-- were fetched nobody is blamed (I5).
local function blame(B, id, maxStalled)
  local count = redis.call('HINCRBY', B .. ':' .. id, 'stc', 1)
  redis.call('XADD', B .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'stalled', 'jobId', id)
  if count > tonumber(maxStalled) then
    redis.call('HSET', B .. ':' .. id, 'defa', 'job stalled more than allowable limit')
  end
end

-- Grants the claim for an epoch, or answers nil and why not. Four cases: first claim, takeover, the holder begins anew,
-- adoption after a lost answer. An epoch that is not newer is a call that arrives late. Only who knows its token keeps
-- it: a claim that is adopted may be one that a failover has brought back, and another had a newer token meanwhile (I4).
local function grant(B, T, I, epoch, maxStalled, keepsToken)
  local c = redis.call('HMGET', fence(B), 'owner', 'token', 'epoch', 'until')
  local owner, token = c[1], c[2]
  if owner == pod then
    if tonumber(epoch) <= tonumber(c[3] or '0') then return nil, 'STALE' end
  elseif owner and tonumber(c[4] or '0') > nowUs then
    return nil, 'OWNED'
  end
  if not keepsToken then
    token = string.format('%.0f', math.max(tonumber(token or '0') + 1, nowUs))
  end
  -- Who begins anew has told what it started: that is settled.
  local back, foreign = (keepsToken and giveBackUnstarted or giveBack)(B)
  local recovered = 0
  if owner ~= pod and #back > 0 then
    recovered = #back
    if #back == 1 then blame(B, back[1], maxStalled) end
  end
  redis.call('HSET', fence(B), 'owner', pod, 'token', token, 'epoch', epoch,
    'until', string.format('%.0f', nowUs + leaseUs), 'entity', T .. ':' .. I)
  redis.call('PERSIST', fence(B))
  redis.call('PERSIST', B .. ':events')
  redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', nowUs + leaseUs), I)
  return token, recovered, foreign
end
`;
