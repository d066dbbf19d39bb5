-- Claims: which pod works an entity, and the guard of each step (I1, I3, I4). `grant.lua` grants a claim, `try-claim.lua` asks for one.
--
-- A pod never uses an epoch twice, so owner and epoch together name one claim. The token is the fencing token for
-- systems outside Redis. A release keeps the token: the hash of a claim is also the fence, which expires a day after
-- its last use.
--
-- A dormant claim is of an idle worker whose queue was empty. It has a long 'until', and is live only while its owner's
-- renewals are heard. New work ends that: the claim then lasts a lease, unless its owner hears of the work (I7).
--
-- Owns: the hash of the claim, and how it is read. Neighbours: `grant.lua` grants claims, `idle-entity.lua` gives them up,
-- `hold.lua` has holds, `renewal.lua` renews.

local function fence(B) return B .. ':$:worker' end
-- The life of a fence without an owner. It also keeps the last automatic id of a queue that is gone, so that no two
-- jobs of a day share an id. It lives longer if an idempotency key may name an id.
local FENCE_SECONDS = 86400

-- The claim, read once a batch: nothing else changes it while a script runs. Code that writes to the hash forgets it
-- first.
local OWNER, EPOCH, UNTIL, ENTITY, TOKEN, HOLD, DORMANT = 1, 2, 3, 4, 5, 6, 7
local RECALL, GATHERS, LAST_ID, KEYS_UNTIL, SUSPECT, TYPE = 8, 9, 10, 11, 12, 13
local claims = {}
local function readClaim(B)
  local ok, claim = pcall(redis.call, 'HMGET', fence(B), 'owner', 'epoch', 'until', 'entity', 'token', 'hold', 'rests', 'recall',
    'gathers', 'lastId', 'keysUntil', 'suspect')
  if not ok then
    -- no hash, so no claim
    -- guards: claim-record.readClaim
    redis.call('DEL', fence(B))
    return {}
  end
  claim[TYPE] = claim[ENTITY] and string.match(claim[ENTITY], '^([^:]+):[^:]+$')
  -- damaged fields count as missing; numbers are checked when they are used, which is rare
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

-- More than a pod counts up to.
local MAX_EPOCH = 1e12
-- guards: claim-record.epochOf
local function epochOf(claim) return tonumber(whole(claim[EPOCH], MAX_EPOCH) or '0') end

-- The entity of a queue, as its fence says, or the queue's own name.
local function entityOf(B)
  local word = claimOf(B)[ENTITY]
  if word then return string.match(word, '^([^:]+):(.+)$') end
  local root = string.sub(sys, 1, -3)
  if string.sub(B, 1, #root) ~= root then return nil end
  return string.match(string.sub(B, #root + 1), '^([^:]+):([^:]+):queue$')
end

-- Sets the expiry of a fence without an owner. 'moreMs': how long it is needed beyond its usual life, as for a hold.
local function expireFence(B, moreMs)
  local keysMs = tonumber(whole(claimOf(B)[KEYS_UNTIL]) or '0') - nowUs / 1000
  -- guards: claim-record.expireFence
  redis.call('EXPIRE', fence(B), FENCE_SECONDS + math.ceil(math.max(0, moreMs, keysMs) / 1000))
end

-- No claim lapses before this time, in us: a lease after the last silence of all pods, which no owner caused. A silence
-- that lasts counts as ending now. So does a step back of Redis's clock (race 20). Read once a script.
local graceEnd
local function graceUntil()
  if not graceEnd then
    local since = tonumber(redis.call('GET', sys .. 'heard')) or nowUs
    -- guards: claim-record.graceUntil
    graceEnd = math.min(since, nowUs) + leaseUs
  end
  return graceEnd
end

-- The time until which a claim lives if its owner is not heard again, in us; nil if it is not live. An end beyond that
-- of any claim, or none, is damage: the claim then lives while its owner is heard, and is inspected again soon.
local MAX_CLAIM_US = math.max(86400000000, 100 * leaseUs)
local function liveUntil(claim)
  if not claim[OWNER] then return nil end
  -- guards: claim-record.liveUntil
  local untilUs = tonumber(whole(claim[UNTIL]) or MAX_WHOLE)
  local isDamaged = untilUs - nowUs > MAX_CLAIM_US
  if isDamaged then untilUs = nowUs + 10 * leaseUs end
  local isHeard = not (claim[DORMANT] or isDamaged) or redis.call('EXISTS', sys .. 'pod:' .. claim[OWNER] .. ':alive') == 1
  if untilUs > nowUs and isHeard then return untilUs end
  return graceUntil() > nowUs and graceUntil() or nil
end

-- Whether a pod owns it now, and whether another pod does.
local function isLive(claim) return liveUntil(claim) ~= nil end
local function isOthers(claim) return claim[OWNER] ~= pod and isLive(claim) end
-- The one guard. 'until' plays no part: an outage longer than the lease is harmless if no other pod took over.
local function owns(B, epoch)
  local claim = claimOf(B)
  -- guards: claim-record.owns
  return claim[OWNER] == pod and claim[EPOCH] == epoch
end

-- Whether its owner gathers a batch, or runs reads side by side, and may have more jobs than are fetched: '<how
-- many>:<until, in us>'. An entry that is over is void, so no call has to clear it.
local function isGathering(claim, fetched)
  if not claim[GATHERS] then return false end
  local upTo, untilUs = string.match(claim[GATHERS], '^(%d+):(%d+)$')
  -- guards: claim-record.isGathering
  return upTo and fetched < tonumber(upTo) and nowUs < tonumber(untilUs)
end

local function gather(B, upTo, forMs)
  claims[B] = nil
  redis.call('HSET', fence(B), 'gathers', string.format('%.0f:%.0f', upTo, nowUs + forMs * 1000))
end

-- Whether the type of a queue is paused; not for a queue whose entity is unknown.
local function isPausedByType(B)
  local T = claimOf(B)[TYPE]
  return T and isTypePaused(T)
end

-- The entity that a queue belongs to, if it is another one: under one claim each would run the other's jobs.
local function sharedWith(B, T, I)
  local whose, word = claimOf(B)[ENTITY], T .. ':' .. I
  if not whose or whose == word then return nil end
  -- a queue with the default name belongs to the entity in its name, even if the fence says otherwise
  return B ~= string.sub(sys, 1, -3) .. word .. ':queue' and whose or nil
end

-- A queue without an owner has jobs: its events stay, and its fence says which entity it belongs to.
local function keepQueueAlive(B, T, I)
  -- guards: claim-record.keepQueueAlive
  redis.call('PERSIST', B .. ':events')
  if claimOf(B)[ENTITY] then return end
  claims[B] = nil
  redis.call('HSET', fence(B), 'entity', T .. ':' .. I)
  expireFence(B, 0)
end
