-- Adding a job and routing it: one step on every path, so that a producer that dies right after it leaves nothing
-- undone (I5, I7). Hints of the caller decide what is asked for; this script decides what is true.

local STATES = {'wait', 'active', 'paused'}
local SCORED = {'delayed', 'prioritized', 'completed', 'failed', 'waiting-children'}

-- That many entries of lists one script looks through; more would keep Redis from everything else (I11).
local entriesLeft = 5000000

-- Where too many would have to be looked through, a job counts as known, as to BullMQ; but not one that may have been dropped.
local function inList(B, state, id)
  if entriesLeft > 0 then
    entriesLeft = entriesLeft - redis.call('LLEN', B .. ':' .. state)
    return redis.call('LPOS', B .. ':' .. state, id)
  end
  if not DROPS.last(B) then return true end
  error('whether job ' .. id .. ' is one that was dropped takes too long to find out in one step with others; try it again by itself', 0)
end

local function inSomeState(B, id)
  for _, state in ipairs(SCORED) do
    if redis.call('ZSCORE', B .. ':' .. state, id) then return true end
  end
  for _, state in ipairs(STATES) do
    if redis.call('EXISTS', B .. ':' .. state) == 1 and inList(B, state, id) then return true end
  end
  return false
end

-- Whether a job with that id is here only by its hash, since it was dropped.
local function wasDropped(B, id)
  return DROPS.last(B) and redis.call('EXISTS', B .. ':' .. id) == 1 and not inSomeState(B, id)
end

-- Takes back what a failing add wrote.
local function undo(B, id)
  pcall(redis.call, 'LREM', B .. ':wait', 0, id)
  pcall(redis.call, 'ZREM', B .. ':delayed', id)
  pcall(redis.call, 'ZREM', B .. ':prioritized', id)
  pcall(redis.call, 'ZREM', B .. ':waiting-children', id)
  redis.call('DEL', B .. ':' .. id, B .. ':' .. id .. ':dependencies')
end

-- The number that BullMQ gave last, as far as this batch knows.
local lastIds = {}

-- A queue that was gone numbers its jobs on: an idempotency key may still answer with an id of before. Answers the last one.
local function restoreIdCounter(B)
  local lastId = whole(claimOf(B)[LAST_ID])
  if lastId then redis.call('SET', B .. ':id', lastId) end
  return lastId or '0'
end

-- An idempotency key outlives its job, and the fence its key. Once the job is routed: then there is a fence, which expires, or an owner.
local function extendFence(B, opts)
  local ttlMs = tonumber((cmsgpack.unpack(opts).de or {}).ttl or '0')
  local untilMs = nowMs + ttlMs - FENCE_SECONDS * 1000
  if untilMs <= math.max(tonumber(nowMs), tonumber(whole(claimOf(B)[KEYS_UNTIL]) or '0')) then return end
  claims[B] = nil
  redis.call('HSET', fence(B), 'keysUntil', string.format('%.0f', untilMs))
  if not claimOf(B)[OWNER] then expireIdleFence(B) end
end

-- Refuses an add that would be answered with a job which a drop may remove: it was fetched, and its owner has to tell yet whether it
-- had started.
local function refuseDropping(B, customId, dedupKey)
  if claimOf(B)[RECALL] ~= 'drop' then return end
  for _, id in ipairs({customId, dedupKey ~= '' and redis.call('GET', dedupKey) or ''}) do
    if id ~= '' and inList(B, 'active', id) and not DROPS.isPresent(B, id) then
      error('job ' .. id .. ' may be among those that are being dropped; try it again when the drop has ended', 0)
    end
  end
end

-- Whether the job of that id can't be the work that a deduplication key stands for: its hash was deleted before it had ended. It may
-- wait still, or has been fetched since, which writes a part of a hash. A key without a time lives as long as its job.
local function isLost(B, id, dedupKey)
  local added, result = unpack(redis.call('HMGET', B .. ':' .. id, 'timestamp', 'returnvalue'))
  if added or result then return false end
  if redis.call('PTTL', dedupKey) == -1 or redis.call('EXISTS', B .. ':' .. id) == 1 then return true end
  for _, state in ipairs(STATES) do
    if inList(B, state, id) then return true end
  end
  for _, state in ipairs({'delayed', 'prioritized', 'waiting-children'}) do
    if redis.call('ZSCORE', B .. ':' .. state, id) then return true end
  end
  return Lost.has(B, id)
end

-- The id of the job that is known by a deduplication key ('': none). The key of one that was dropped, or is lost, makes way.
local function knownBy(B, dedupKey)
  local id = dedupKey ~= '' and redis.call('GET', dedupKey)
  if not id then return nil end
  if wasDropped(B, id) then
    DROPS.remove(B, id)
  elseif isLost(B, id, dedupKey) then
    redis.call('DEL', dedupKey)
    Lost.forget(B, id)
  else
    return id
  end
end

-- BullMQ's add. One that fails half-way is undone; a hash that an earlier one left behind, in no state at all, is no
-- duplicate but a wreck, and makes way (race 38). The envelope ('': none) is of the job that is added, not of one that is known.
-- One of a flow may have a parent, as BullMQ's field of that name says.
local function addOnce(B, kind, name, timestamp, data, opts, customId, dedupKey, envelope, parent)
  local hadWritten = hasWritten
  local lastId = lastIds[B] or redis.call('GET', B .. ':id') or restoreIdCounter(B)
  lastIds[B] = nil
  local drop = customId ~= '' and DROPS.last(B)
  local existed = customId ~= '' and redis.call('EXISTS', B .. ':' .. customId) == 1
  if existed and not inSomeState(B, customId) then
    if drop then DROPS.remove(B, customId) else redis.call('DEL', B .. ':' .. customId) end
    existed = false
  end
  -- One that takes the place of a delayed job has an id of its own ('replace').
  local known = knownBy(B, dedupKey)
  local args = {{B .. ':', customId, name, timestamp}, data, opts}
  if dedupKey ~= '' then args[1][9] = dedupKey end
  if parent then
    local parentKey = parent.queueKey .. ':' .. parent.id
    args[1][5], args[1][6], args[1][7] = parentKey, parentKey .. ':dependencies', parent
  end
  local ok, id
  if kind == 'delayed' then
    ok, id = pcall(BULL.addDelayedJob, keysOf.addDelayedJob(B), args)
  elseif kind == 'parent' then
    ok, id = pcall(BULL.addParentJob, keysOf.addParentJob(B), args)
  elseif kind == 'prioritized' then
    ok, id = pcall(BULL.addPrioritizedJob, keysOf.addPrioritizedJob(B), args)
  else
    ok, id = pcall(BULL.addStandardJob, keysOf.addStandardJob(B), args)
  end
  if ok then
    -- a duplicate is answered with an older one
    if customId == '' and dedupKey == '' then lastIds[B] = id end
    if customId ~= '' and not existed and id == customId and id ~= known then
      -- others may have had the id before it, and may have it after it
      redis.call('HSET', B .. ':' .. id, 'nth', redis.call('GET', B .. ':id') or '')
      if drop then redis.call('HSET', B .. ':' .. id, 'after', drop) end
    end
    if envelope ~= '' and not existed and id ~= known and type(id) ~= 'number' then redis.call('HSET', B .. ':' .. id, 'aq', envelope) end
    return id
  end
  local added = customId ~= '' and customId or redis.call('GET', B .. ':id')
  if not existed and dedupKey ~= '' and redis.call('GET', dedupKey) == added then redis.call('DEL', dedupKey) end
  if customId ~= '' and not existed then
    undo(B, customId)
  elseif customId == '' then
    local newId = redis.call('GET', B .. ':id')
    if newId and newId ~= lastId then undo(B, newId) end
  end
  hasWritten = hadWritten
  error(id, 0)
end

-- As that; once more, where damage was in its way.
local function addJob(B, ...)
  local ok, id = pcall(addOnce, B, ...)
  if ok then return id end
  if not mend(B, id) then error(id, 0) end
  return addOnce(B, ...)
end

-- A wake-up is a hint in the set of one pod, which may be dead: it expires.
local function tell(podId, word)
  local key = sys .. 'pod:' .. podId .. ':wake'
  redis.call('ZADD', key, 'NX', string.format('%.0f', nowUs), word)
  redis.call('PEXPIRE', key, 60000)
end
local function wake(podId, T, I) tell(podId, T .. ':' .. I) end

-- A person has paused the queue, or emptied it ('drop'): its owner is to give back what it has fetched. The word is the quick
-- way; the mark in the claim tells with the next end of a job, whatever becomes of the word. No name begins with '$'.
local function recall(B, T, I, why)
  local claim = claimOf(B)
  if not claim[OWNER] or redis.call('EXISTS', B .. ':active') == 0 then return end
  claims[B] = nil
  redis.call('HSET', fence(B), 'recall', claim[RECALL] == 'drop' and 'drop' or why)
  tell(claim[OWNER], '$' .. T .. ':' .. I)
end

-- Whose queue it is, if another entity's: under one claim each would run the other's jobs.
local function sharedWith(B, T, I)
  local whose, word = claimOf(B)[ENTITY], T .. ':' .. I
  if not whose or whose == word then return nil end
  -- a queue that is named by its entity is that one's, whatever stands there
  return B ~= string.sub(sys, 1, -3) .. word .. ':queue' and whose or nil
end

-- Tells the owner of work. The word may be lost, and the owner dead, or without a worker: a claim that rests lasts no longer
-- than a lease from now on.
local function callOwner(B, T, I)
  local claim = claimOf(B)
  wake(claim[OWNER], T, I)
  if not claim[RESTS] then return end
  claims[B] = nil
  local untilUs = math.min(tonumber(whole(claim[UNTIL]) or MAX_WHOLE), nowUs + leaseUs)
  redis.call('HSET', fence(B), 'until', string.format('%.0f', untilUs))
  lookBy(T, I, untilUs)
end

-- Calls one other live pod that has room for the type: for one entity the same one each time, so that not all of them
-- race for it; for many entities all of them. Answers whether there is one.
local function callAnother(T, I)
  local pods = redis.call('ZRANGEBYSCORE', sys .. 'pods:' .. T, string.format('%.0f', nowUs - leaseUs), '+inf')
  local others = {}
  table.sort(pods)
  for _, id in ipairs(pods) do if id ~= pod then others[#others + 1] = id end end
  if #others == 0 then return false end
  wake(others[tonumber(string.sub(redis.sha1hex(I), 1, 8), 16) % #others + 1], T, I)
  return true
end

-- A queue without an owner has jobs: its events stay, and the fence says whose it is.
local function keepQueueAlive(B, T, I)
  redis.call('PERSIST', B .. ':events')
  if claimOf(B)[ENTITY] then return end
  claims[B] = nil
  redis.call('HSET', fence(B), 'entity', T .. ':' .. I)
  expireFence(B, 0)
end

-- Where a job that was added goes. An active job will fetch its successor when it ends; only where handlers are free, a
-- take or a call is needed.
local function route(B, T, I, id, claim, kind, epoch, mayClaim, takeOpts, maxStalled, handlers, mineAtOnce)
  if claim[OWNER] == pod then
    if claim[EPOCH] ~= epoch then
      if claim[RESTS] then callOwner(B, T, I) end
      return {'UNKNOWN', id}
    end
    local out = {'LOCAL', id, reactivate(B, T, I), '-1'}
    if redis.call('LLEN', B .. ':active') < tonumber(mineAtOnce) then take(B, 1, takeOpts, out, 4) end
    return out
  end
  if isOthers(claim) then
    local fetched = redis.call('LLEN', B .. ':active')
    local isBusy = (fetched >= tonumber(handlers) and not isGathering(claim, fetched)) or heldForMs(B)
    if claim[RESTS] or not isBusy then callOwner(B, T, I) end
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
  lookBy(T, I, atUs)
  if kind == 'delayed' then return {'DELAYED', id} end
  -- the first pod that has room again will find the request
  if not callAnother(T, I) then requestWorker(T, I) end
  return {'UNOWNED', id}
end

-- How many jobs have not ended, but the one that each schedule has at any time.
local function pendingOf(B)
  local notEnded = backlogOf(B) + redis.call('ZCARD', B .. ':delayed') + redis.call('ZCARD', B .. ':waiting-children')
  return notEnded - redis.call('ZCARD', B .. ':repeat')
end

-- Whether an add brings a job: one with an id, or a key, that is known adds nothing.
local function isNew(B, customId, dedupKey)
  local isKnown = customId ~= '' and redis.call('EXISTS', B .. ':' .. customId) == 1
  if isKnown and not wasDropped(B, customId) then return false end
  return not knownBy(B, dedupKey)
end

-- enter: B T I | kind name timestamp data opts customId dedupKey maxPending ('': no bound) |
-- epoch mayClaim takeOpts maxStalled handlers mineAtOnce envelope
-- Returns {route, jobId, …}: LOCAL {reactivated, againInMs, jobs…} | CLAIMED {token, recovered, foreign, againInMs, jobs…} |
-- UNKNOWN {why, if routing failed} | ELSEWHERE | NOBODY | DELAYED | REFUSED (jobId is BullMQ's code) |
-- SHARED (jobId is another entity that has this queue) | FULL
function OPS.add(B, T, I, kind, name, timestamp, data, opts, customId, dedupKey, maxPending, epoch, mayClaim, takeOpts, maxStalled, handlers, mineAtOnce, envelope)
  local claim, whose = claimOf(B), sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  refuseDropping(B, customId, dedupKey)
  if maxPending ~= '' and pendingOf(B) >= tonumber(maxPending) and isNew(B, customId, dedupKey) then return {'FULL'} end
  local id = addJob(B, kind, name, timestamp, data, opts, customId, dedupKey, envelope)
  if type(id) == 'number' then return {'REFUSED', id} end
  -- The job is added by now: an error from here on must not say that it was not.
  local ok, answer = pcall(route, B, T, I, id, claim, kind, epoch, mayClaim, takeOpts, maxStalled, handlers, mineAtOnce)
  if ok and dedupKey ~= '' then extendFence(B, opts) end
  if ok then return answer end
  return {'UNKNOWN', id, problem(answer)}
end

-- So many arguments has an enter.
local INTAKE_ARGUMENTS = 18

-- addAll: for each job the arguments of its enter. Returns {answer, answer …}, or {'FULL', number of the job that has no room} when
-- nothing was added.
function MANY.addAll(from, to)
  local room, seen, answers, i = {}, {}, {}, 0
  for p = from, to, INTAKE_ARGUMENTS do
    i = i + 1
    local B, customId, dedupKey, maxPending = ARGV[p], ARGV[p + 8], ARGV[p + 9], ARGV[p + 10]
    local hash = B .. ':' .. customId
    local isKnown = (customId ~= '' and seen[hash]) or (dedupKey ~= '' and seen[dedupKey])
    seen[hash], seen[dedupKey] = true, true
    if maxPending ~= '' then
      refuseDropping(B, customId, dedupKey)
      if not isKnown and isNew(B, customId, dedupKey) then
        room[B] = (room[B] or tonumber(maxPending) - pendingOf(B)) - 1
        if room[B] < 0 then return {'FULL', i} end
      end
    end
  end
  for p = from, to, INTAKE_ARGUMENTS do answers[#answers + 1] = attempt(OPS.add, unpack(ARGV, p, p + INTAKE_ARGUMENTS - 1)) end
  return answers
end
