-- The one decision about an entity that is not worked here, and its end: what is done when there is nothing to do.
-- Look and removal are one step, so a job that is added in between is never forgotten (race 11).

-- Who has nothing to do but wait for a hold goes, and is there again before it ends: longer than the pause between two sweeps.
local HOLD_LEAD_MS = 2000
local function heldForLongMs(B)
  local held = heldForMs(B)
  return held and held > HOLD_LEAD_MS and held - HOLD_LEAD_MS
end

local function isPaused(B) return isPausedByItself(B) or isPausedByType(B) end

-- Whether only a person can give an entity with work something to do: it is paused, or blocked. What a dead owner had fetched, which
-- somebody has put before the head, is not blocked with it.
local function isParked(B)
  return isPaused(B) or (isBlocked(heldForMs(B)) and redis.call('EXISTS', B .. ':active') == 0)
end

-- Nobody looks at it until that person has (race 16). The end of the pause of a type enters all that have this time.
local PARKED = '9000000000000000'
local function park(B, T, I)
  local waitsForType = isTypePaused(T) and not isPausedByItself(B)
  if waitsForType then redis.call('ZADD', sys .. 'due:' .. T, PARKED, I) else redis.call('ZREM', sys .. 'due:' .. T, I) end
  -- for as long as it takes it is known whose queue it is
  redis.call('PERSIST', fence(B))
end

-- BullMQ writes these two of its own accord; any other field was set by a person.
local OWN_META = {['opts.maxLenEvents'] = true, version = true}

local function metaIsOurs(B)
  for _, field in ipairs(redis.call('HKEYS', B .. ':meta')) do
    if not OWN_META[field] then return false end
  end
  return true
end

-- Clears the owner and keeps the token: the fence stays for a day (I4), and a hold until it has ended.
local function giveUp(B)
  -- PERSIST is not needed for a block, since no claim has an expiry
  expireIdleFence(B)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'owner', 'epoch', 'until', 'rests', 'recall', 'gathers', 'runs')
end

-- The fence has expired by itself where jobs were kept, or were for later, for longer than it lasts: then it is a new one.
local function noteLastId(B, T, I, lastId, isFenced)
  redis.call('HSET', fence(B), 'lastId', lastId, 'entity', T .. ':' .. I)
  claims[B], lastIds[B] = nil, nil
  if not isFenced then expireFence(B, 0) end
end

-- Gives up the claim of an entity that has nothing to run now. It is due again when a job is, or when one that is kept is old
-- enough to go. Its queue leaves no key unless some state of BullMQ still holds a job or a person has set something (I8, race 9).
local function settle(B, T, I)
  local isFenced = claimOf(B)[ENTITY]
  if claimOf(B)[HOLD] then setHold(B, nil) end
  giveUp(B)
  local due = sys .. 'due:' .. T
  local first = redis.call('ZRANGE', B .. ':delayed', 0, 0, 'WITHSCORES')
  local atUs = hasEndedJobs(B) and expireKept(B) or nil
  if first[2] then atUs = math.min(atUs or math.huge, math.ceil(tonumber(first[2]) / 0x1000) * 1000) end
  if atUs then
    redis.call('ZADD', due, string.format('%.0f', math.max(nowUs, atUs)), I)
    return
  end
  redis.call('ZREM', due, I)
  local kept = redis.call('EXISTS', B .. ':completed', B .. ':failed', B .. ':waiting-children', B .. ':repeat', B .. ':paused')
  if kept == 0 and metaIsOurs(B) then
    local lastId = redis.call('GET', B .. ':id')
    if lastId then noteLastId(B, T, I, lastId, isFenced) end
    redis.call('DEL', B .. ':meta', B .. ':id', B .. ':marker', B .. ':pc', B .. ':stalled', B .. ':stalled-check')
    redis.call('EXPIRE', B .. ':events', 60)
  end
end

-- Whoever looked moves the time of the next look on.
local function lookAgain(T, I, afterUs)
  redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', nowUs + afterUs), I)
end

-- look: B T I epoch takeOpts maxStalled; without an epoch it claims nothing
-- Returns {'CLAIMED', token, recovered, foreign, againInMs, jobs…} | {'OWNED'} | {'PAUSED'} | {'LATER'} | {'WAITING'} |
-- {'STALE'}
function OPS.tryClaim(B, T, I, epoch, takeOpts, maxStalled)
  local claim = claimOf(B)
  -- A call of ours that arrives late: what it would settle is the claim that came after it. Who asks only, without room,
  -- does not know of a claim of ours: an answer was lost (race 26).
  if claim[OWNER] == pod and (tonumber(epoch) or 0) <= epochOf(claim) then
    return {epoch == '' and hasWork(B) and not isPaused(B) and 'WAITING' or 'STALE'}
  end
  if isOthers(claim) then
    redis.call('ZADD', sys .. 'due:' .. T, string.format('%.0f', liveUntil(claim)), I)
    return {'OWNED'}
  end
  if not hasWork(B) then
    settle(B, T, I)
    return {'LATER'}
  end
  if isParked(B) then
    park(B, T, I)
    return {isPaused(B) and 'PAUSED' or 'LATER'}
  end
  -- what a dead owner had fetched, which somebody has put before the head, does not wait with it
  local held = redis.call('EXISTS', B .. ':active') == 0 and heldForLongMs(B)
  if held then
    lookAgain(T, I, held * 1000)
    return {'LATER'}
  end
  if epoch == '' then return {'WAITING'} end
  local token, recovered, foreign = grant(B, T, I, epoch, maxStalled)
  if not token then return {recovered} end
  local out = {'CLAIMED', token, recovered, foreign}
  take(B, 1, takeOpts, out, 5)
  return out
end

-- giveBack: B epoch | id… of what has started, or has ended and is not confirmed
function OPS.giveBack(B, epoch, ...)
  if not mine(B, epoch) then return {'STALE'} end
  local kept = {}
  for _, id in ipairs({...}) do kept[id] = true end
  giveBackUnstarted(B, kept)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'recall')
  return {'OK'}
end

-- release: B T I epoch mode ('idle' | 'hand-over' | 'give-way')
-- Returns {'OK', '1'} when the claim is given up, {'OK', '0'} when there is work after all, {'STALE'}.
function OPS.release(B, T, I, epoch, mode)
  if not mine(B, epoch) then return {'STALE'} end
  -- no handler runs, and every end is confirmed
  if mode ~= 'idle' then giveBackUnstarted(B) end
  if not hasWork(B) then
    settle(B, T, I)
    return {'OK', '1'}
  end
  if isParked(B) then
    giveUp(B)
    park(B, T, I)
    return {'OK', '1'}
  end
  local waitsUs = (heldForLongMs(B) or 0) * 1000
  if mode == 'idle' and waitsUs == 0 then return {'OK', '0'} end
  giveUp(B)
  lookAgain(T, I, waitsUs)
  if mode ~= 'idle' and waitsUs == 0 and not callAnother(T, I) and mode == 'hand-over' then requestWorker(T, I) end
  return {'OK', '1'}
end

-- leave: B T I epoch jobId graceMs: gives everything back for pods that know the name of the next job (races 13, 32)
-- Returns {'OK', '1'} when it is left, {'OK', '0'} when it was left for longer than that, {'STALE'}.
function OPS.defer(B, T, I, epoch, jobId, graceMs)
  if not mine(B, epoch) then return {'STALE'} end
  local job = B .. ':' .. jobId
  if graceMs == '0' or redis.call('EXISTS', job) == 0 then return {'OK', '0'} end
  redis.call('HSETNX', job, 'left', nowMs)
  if tonumber(nowMs) - (tonumber(redis.call('HGET', job, 'left')) or 0) >= tonumber(graceMs) then
    -- tried again by a person, it has its time again
    redis.call('HDEL', job, 'left')
    return {'OK', '0'}
  end
  giveBackUnstarted(B)
  giveUp(B)
  -- For whichever pod sweeps next: a call would go back and forth between two that don't know it.
  lookAgain(T, I, 0)
  return {'OK', '1'}
end

-- Schedules a look at an entity that may have work from now on, and calls a pod for it.
local function lookNow(B, T, I)
  local claim = claimOf(B)
  local untilUs = liveUntil(claim)
  if untilUs then
    -- a paused entity is not scheduled
    lookBy(T, I, untilUs)
    callOwner(B, T, I)
  elseif hasWork(B) then
    lookBy(T, I, nowUs)
    if not callAnother(T, I) then requestWorker(T, I) end
  elseif claim[OWNER] then
    -- its lease has passed, and it may come back, or end this step: only a look gives its claim up
    lookBy(T, I, nowUs)
  else
    -- only a pause or a block kept it
    settle(B, T, I)
  end
end

-- A parent has joined its queue. 'word' names the entity even after its fence has expired. A flow that was added outside this library
-- has no such word: then the fence, or the name of the queue, says it.
function parentJoined(B, word)
  local T, I = string.match(type(word) == 'string' and word or '', '^([^:]+):(.+)$')
  if not T then T, I = entityOf(B) end
  if not T then return end
  keepQueueAlive(B, T, I)
  lookNow(B, T, I)
end

-- backlogs: B…; how many jobs wait or run
function OPS.backlogs(...)
  local out = {}
  for i, B in ipairs({...}) do out[i] = backlogOf(B) end
  return out
end

-- due: T from limit; the entities of a type whose time has come, the longest overdue first
function OPS.due(T, from, limit)
  return redis.call('ZRANGEBYSCORE', sys .. 'due:' .. T, '-inf', string.format('%.0f', nowUs), 'LIMIT', from, limit)
end

-- touch: B epoch body nKeys KEYS… ARGV…: what a running handler writes to its own job (race 18)
local function clearLogs(KEYS, ARGV)
  if ARGV[1] == '0' then return redis.call('DEL', KEYS[1]) end
  redis.call('LTRIM', KEYS[1], -tonumber(ARGV[1]), -1)
  return 0
end

function OPS.touch(B, epoch, body, nKeys, ...)
  if not mine(B, epoch) then return {'STALE'} end
  local all, keys, args = {...}, {}, {}
  for i, value in ipairs(all) do
    if i <= tonumber(nKeys) then keys[#keys + 1] = value else args[#args + 1] = value end
  end
  return {'OK', (body == 'clearLogs' and clearLogs or BULL[body])(keys, args)}
end
