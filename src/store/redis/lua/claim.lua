-- Claims: who works an entity, and the guard of every step (I1, I3, I4).
--
-- A pod never uses an epoch twice, so owner and epoch together name one claim; the token is the fence for the world
-- outside. Release keeps the token: the hash is also the fence, and expires a day after its last use. It says whose queue
-- it is, too.
--
-- A claim that rests is of an idle worker whose queue was empty: it has a long 'until', and is live only while its owner's
-- renewals are heard. Work cuts the rest short: the claim lasts a lease from then on, unless its owner hears of it (I7).

local function fence(B) return B .. ':$:worker' end
-- A fence without an owner lasts that long; it also knows the last automatic id of a queue that is gone, so that no job of a day
-- has the id of another, and for longer where an idempotency key may answer with one.
local FENCE_SECONDS = 86400

-- The claim, read once a batch: nothing else changes it while a script runs. Whoever writes it forgets it first.
local OWNER, EPOCH, UNTIL, ENTITY, TOKEN, HOLD, RESTS, RECALL, GATHERS, LAST_ID, KEYS_UNTIL, SUSPECT, TYPE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
local claims = {}
local function readClaim(B)
  local ok, claim = pcall(redis.call, 'HMGET', fence(B), 'owner', 'epoch', 'until', 'entity', 'token', 'hold', 'rests', 'recall',
    'gathers', 'lastId', 'keysUntil', 'suspect')
  if not ok then
    -- no hash, so no claim
    redis.call('DEL', fence(B))
    return {}
  end
  claim[TYPE] = claim[ENTITY] and string.match(claim[ENTITY], '^([^:]+):[^:]+$')
  -- damaged fields count as missing; numbers are checked when they are used, which is seldom
  if not claim[TYPE] then claim[ENTITY] = nil end
  return claim
end

local function claimOf(B)
  local claim = claims[B]
  if not claim then
    claim = readClaim(B)
    claims[B] = claim
  end
  return claim
end

-- More than a pod ever counts up to.
local MAX_EPOCH = 1e12
local function epochOf(claim) return tonumber(whole(claim[EPOCH], MAX_EPOCH) or '0') end

-- Whose queue it is, as its fence says, or its own name.
local function entityOf(B)
  local word = claimOf(B)[ENTITY]
  if word then return string.match(word, '^([^:]+):(.+)$') end
  local root = string.sub(sys, 1, -3)
  if string.sub(B, 1, #root) ~= root then return nil end
  return string.match(string.sub(B, #root + 1), '^([^:]+):([^:]+):queue$')
end

-- Of a fence without an owner. A hold lasts as long as it has to; 'moreMs': what the fence is needed for beyond its time.
local function expireFence(B, moreMs)
  local keysMs = tonumber(whole(claimOf(B)[KEYS_UNTIL]) or '0') - nowUs / 1000
  redis.call('EXPIRE', fence(B), FENCE_SECONDS + math.ceil(math.max(0, moreMs, keysMs) / 1000))
end

-- No claim lapses before this time, in us: a lease after the last silence of all pods, which is no fault of an owner. A silence
-- that lasts ends now at the earliest; if Redis's clock has stepped back, it counts as one (race 20). Read once a script.
local graceEnd
local function graceUntil()
  if not graceEnd then
    local since = tonumber(redis.call('GET', sys .. 'heard')) or nowUs
    graceEnd = math.min(since, nowUs) + leaseUs
  end
  return graceEnd
end

-- Until when a claim holds if its owner is not heard any more, in us; nil if it does not hold now. An end that is further away than that
-- of any claim, or none, is damaged: the claim holds while its owner is heard, and is looked at again soon.
local MAX_CLAIM_US = math.max(86400000000, 100 * leaseUs)
local function liveUntil(claim)
  if not claim[OWNER] then return nil end
  local untilUs = tonumber(whole(claim[UNTIL]) or MAX_WHOLE)
  local isDamaged = untilUs - nowUs > MAX_CLAIM_US
  if isDamaged then untilUs = nowUs + 10 * leaseUs end
  local isHeard = not (claim[RESTS] or isDamaged) or redis.call('EXISTS', sys .. 'pod:' .. claim[OWNER] .. ':alive') == 1
  if untilUs > nowUs and isHeard then return untilUs end
  return graceUntil() > nowUs and graceUntil() or nil
end

-- Whether a pod owns it now, and whether another one does.
local function isLive(claim) return liveUntil(claim) ~= nil end
local function isOthers(claim) return claim[OWNER] ~= pod and isLive(claim) end
--- include suspect
-- The one guard. Whatever 'until' says: an outage longer than the lease is harmless where nobody took over.
local function mine(B, epoch)
  local claim = claimOf(B)
  return claim[OWNER] == pod and claim[EPOCH] == epoch
end

-- Whether its owner gathers a batch, or runs reads beside each other, and may have more jobs than are fetched: '<how many>:<until,
-- in µs>'. What is over is void, so nobody has to clear it.
local function isGathering(claim, fetched)
  if not claim[GATHERS] then return false end
  local upTo, untilUs = string.match(claim[GATHERS], '^(%d+):(%d+)$')
  return upTo and fetched < tonumber(upTo) and nowUs < tonumber(untilUs)
end

local function gather(B, upTo, forMs)
  claims[B] = nil
  redis.call('HSET', fence(B), 'gathers', string.format('%.0f:%.0f', upTo, nowUs + forMs * 1000))
end

-- Whether its type is paused, of a queue that somebody knows.
local function isPausedByType(B)
  local T = claimOf(B)[TYPE]
  return T and isTypePaused(T)
end

local function isForeign(B, id)
  local holder = redis.call('GET', B .. ':' .. id .. ':lock')
  return holder and string.sub(holder, 1, 3) ~= 'aq:'
end

-- Until when, and for how long, a hold lasts that only a person ends, in ms: longer than any clock counts.
local BLOCKED_MS = 9e15

local function holdOf(B) return parseHold(claimOf(B)[HOLD]) end

-- For how many ms the head of the queue waits for its next try, and its id, or nil.
local function heldForMs(B)
  local hold = holdOf(B)
  if holds(B, hold) then return hold.left, hold.id end
end

local function isBlocked(heldMs) return heldMs ~= nil and heldMs > BLOCKED_MS / 2 end

-- The fence of an entity without an owner outlasts a hold; a block has no end.
local function expireIdleFence(B)
  local hold = holdOf(B)
  local leftMs = hold and not isOver(hold) and hold.left or 0
  if not isBlocked(leftMs) then expireFence(B, leftMs) end
end

-- The id of the job that has used up its tries and blocks the entity until a person decides.
local function blockerOf(B)
  local held, id = heldForMs(B)
  return isBlocked(held) and id or nil
end

-- Whether a job that waits further back blocks the entity: somebody has put others before it.
local function isBlockedBehind(B)
  local hold = holdOf(B)
  return hold and isBlocked(hold.left) and redis.call('LPOS', B .. ':wait', hold.id, 'RANK', -1)
end

local function setHold(B, hold)
  claims[B] = nil
  if hold then redis.call('HSET', fence(B), 'hold', hold) else redis.call('HDEL', fence(B), 'hold') end
end

-- A hold that is over, or of a job that waits no more. One whose job is not the head at the moment may be needed again.
local function forgetHold(B)
  local hold = holdOf(B)
  if hold and (isOver(hold) or not redis.call('LPOS', B .. ':wait', hold.id, 'RANK', -1)) then setHold(B, nil) end
end

-- Jobs whose hash was deleted before they had ended, the latest of them: their ids may stand in idempotency keys, which are to make way.
local Lost = {MOST = 100}
function Lost.ids(B) return tableOf(redis.call('HGET', fence(B), 'lost')) end

function Lost.has(B, id)
  for _, other in ipairs(Lost.ids(B)) do
    if other == id then return true end
  end
  return false
end

function Lost.add(B, id)
  local ids = Lost.ids(B)
  ids[#ids + 1] = id
  if #ids > Lost.MOST then table.remove(ids, 1) end
  redis.call('HSET', fence(B), 'lost', cjson.encode(ids))
end

function Lost.forget(B, id)
  local left = {}
  for _, other in ipairs(Lost.ids(B)) do
    if other ~= id then left[#left + 1] = other end
  end
  if #left > 0 then redis.call('HSET', fence(B), 'lost', cjson.encode(left)) else redis.call('HDEL', fence(B), 'lost') end
end

-- Made where damage is mended.
local mendJob

-- What was fetched and is dropped; answers whether it is.
local function dropOne(B, drop, id)
  if DROPS.isPresent(B, id) then return false end
  redis.call('LPUSH', DROPS.key(B, drop, 'active'), id)
  return true
end

-- Gives back what was fetched, in its old order; where a person has emptied the queue since ('drop' names that), it is dropped. Active
-- is newest first; what is pushed last is taken next. Jobs under a live lock that is not ours belong to a plain BullMQ worker: left
-- alone. So are those that 'kept' has as keys. Answers what is back, how many are foreign, and whether more is to be given back.
local function giveBack(B, kept, drop, most)
  local back = {}
  local foreign = 0
  local active = redis.call('LRANGE', B .. ':active', 0, -1)
  local left = most or #active
  for position, id in ipairs(active) do
    if isForeign(B, id) then
      foreign = foreign + 1
    elseif not (kept and kept[id]) then
      if left == 0 then return back, foreign, true end
      left = left - 1
      redis.call('LREM', B .. ':active', 1, id)
      redis.call('DEL', B .. ':' .. id .. ':lock')
      redis.call('SREM', B .. ':stalled', id)
      if drop and dropOne(B, drop, id) then
        -- it is in no place of the queue any more
      elseif redis.call('EXISTS', B .. ':' .. id) == 1 then
        local ok, priority = pcall(redis.call, 'HGET', B .. ':' .. id, 'priority')
        if not ok then mendJob(B, id) end
        priority = ok and tonumber(priority) or 0
        if priority > 0 then
          redis.call('ZADD', B .. ':prioritized', priority * 0x100000000 + #active - position, id)
        else
          redis.call('RPUSH', B .. ':wait', id)
        end
        redis.call('XADD', B .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
        back[#back + 1] = id
      else
        Lost.add(B, id)
      end
    end
  end
  return back, foreign, false
end

-- The drop that what is given back now is of, or nil.
local function pendingDrop(B)
  local claim = claimOf(B)
  if claim[RECALL] ~= 'drop' or redis.call('EXISTS', B .. ':active') == 0 then return nil end
  local T, I = entityOf(B)
  if not T then error('whose queue ' .. B .. ' is can not be read: its claim is damaged', 0) end
  return DROPS.begin(B, T, I), T, I
end

-- Answers BullMQ's code: 1 when it is removed. To its parent it has failed.
local function removeJob(B, id)
  local parent = parentOf(B, id)
  local r = BULL.removeJob({B .. ':' .. id, B .. ':repeat'}, {id, '0', B .. ':'})
  tellParent(parent, 'it was removed')
  return r
end

-- What has not started has used up no start of the rate of its type, if it was fetched within the span that is under way. BullMQ
-- counts none of a job that is to fail.
local function refund(B, ids)
  local rateMs = tonumber((redis.call('HGET', fence(B), 'rateMs')))
  local leftMs = rateMs and redis.call('PTTL', B .. ':limiter') or 0
  if leftMs <= 0 then return end
  -- Redis cuts times off to ms
  local sinceMs = nowMs + leftMs - rateMs - 2
  for _, id in ipairs(ids) do
    local fetchedMs, mustFail = unpack(fieldsOf(B .. ':' .. id, {'processedOn', 'defa'}))
    if not mustFail and (tonumber(fetchedMs) or 0) >= sinceMs then redis.call('DECR', B .. ':limiter') end
  end
end

-- Gives back what has certainly not started: fetching it was no attempt. If a person has emptied the queue since it was
-- fetched, it is dropped.
local function giveBackUnstarted(B, kept)
  local drop, T, I = pendingDrop(B)
  local back, foreign = giveBack(B, kept, drop)
  if #back > 0 then refund(B, back) end
  for _, id in ipairs(back) do
    if not pcall(write, 'HINCRBY', B .. ':' .. id, 'ats', -1) then mendJob(B, id) end
  end
  if drop then DROPS.clear(B, T, I) end
  return back, foreign
end

-- Gives back what a dead owner had fetched, which may have started, as far as one step may.
local MAX_RECOVERED = 1000
local function recover(B)
  local drop, T, I = pendingDrop(B)
  local back, foreign, isMore = giveBack(B, nil, drop, MAX_RECOVERED)
  if drop then DROPS.clear(B, T, I) end
  return back, foreign, isMore
end

-- A job that lost its pod while it was the only one fetched is the one that ran: it counts as stalled. If several
-- were fetched, none is suspected (I5).
local function suspect(B, id, claim, maxStalled)
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

-- The time of the next look, where it is later. Only whoever looks, or renews, moves it on.
local function lookBy(T, I, atUs) redis.call('ZADD', sys .. 'due:' .. T, 'LT', string.format('%.0f', atUs), I) end

-- The owner has something to do: a claim that rested lasts a lease from now on. Answers '1' then.
local function reactivate(B, T, I)
  if not claimOf(B)[RESTS] then return '0' end
  claims[B] = nil
  local untilUs = string.format('%.0f', nowUs + leaseUs)
  redis.call('HSET', fence(B), 'until', untilUs)
  redis.call('HDEL', fence(B), 'rests')
  redis.call('ZADD', sys .. 'due:' .. T, untilUs, I)
  return '1'
end

-- Nobody owns it any more; that a drop is pending stays.
local function disown(B)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'owner', 'epoch', 'until', 'rests', 'gathers', 'runs')
end

-- Grants the claim for an epoch, or answers nil and why not. Four cases: first claim, takeover, the holder begins anew,
-- adoption after a lost answer. An epoch that is not newer is a call that arrives late. Only who knows its token keeps
-- it: a claim that is adopted may be one that a failover has brought back, and another had a newer token meanwhile (I4).
local function grant(B, T, I, epoch, maxStalled, keepsToken)
  local claim = claimOf(B)
  -- a token that is damaged is made of the time
  local owner, token = claim[OWNER], whole(claim[TOKEN])
  if owner == pod and tonumber(epoch) <= epochOf(claim) then return nil, 'STALE' end
  if isOthers(claim) then return nil, 'OWNED' end
  if not keepsToken or not token then
    token = string.format('%.0f', math.max(tonumber(token or '0') + 1, nowUs))
  end
  if claim[RECALL] and not claim[ENTITY] then claim[ENTITY], claim[TYPE] = T .. ':' .. I, T end
  -- Who begins anew has told what it started: that is settled.
  local back, foreign, isMore = (keepsToken and giveBackUnstarted or recover)(B)
  if isMore then
    -- nothing is fetched before all of it is back, in its order; the next look goes on
    disown(B)
    lookBy(T, I, nowUs)
    return nil, 'LATER'
  end
  local recovered = 0
  if owner ~= pod and #back > 0 then
    recovered = #back
    if #back == 1 then suspect(B, back[1], claim, maxStalled) end
  end
  claims[B] = nil
  local untilUs = string.format('%.0f', nowUs + leaseUs)
  redis.call('HSET', fence(B), 'owner', pod, 'epoch', epoch, 'until', untilUs,
    'entity', T .. ':' .. I, 'token', token)
  if claim[RESTS] or claim[RECALL] or claim[GATHERS] then redis.call('HDEL', fence(B), 'rests', 'recall', 'gathers') end
  -- a hash that is new has no expiry
  if claim[ENTITY] then redis.call('PERSIST', fence(B)) end
  redis.call('PERSIST', B .. ':events')
  redis.call('ZADD', sys .. 'due:' .. T, untilUs, I)
  return token, recovered, foreign
end
