-- Ending a job and fetching the next: BullMQ's own `moveToFinished`, guarded.
--
-- The claim alone decides whose job it is; a job's lock that expired or was removed is set anew,
-- no reason to refuse (race 5). What BullMQ answers about the job is reported, not thrown: the worker goes on either way.

-- Whether a job has ended: it is removed, or kept in the set of those that have ended like it.
local function hasEnded(B, jobId, status)
  return redis.call('EXISTS', B .. ':' .. jobId) == 0 or redis.call('ZSCORE', B .. ':' .. status, jobId)
end

-- Ends one job under our lock; answers BullMQ's result: a job, a code below 0, or nothing.
local function endJob(B, jobId, lockMs, status, value, opts, fields, fetch)
  local lock = B .. ':' .. jobId .. ':lock'
  local completed = status == 'completed'
  -- tried again by a person, it has its tries again
  if not completed then redis.call('HDEL', B .. ':' .. jobId, 'skip', 'thrown') end
  local keys = completed and keysOf.completed(B, jobId) or keysOf.failed(B, jobId)
  opts = boundCount(B, status, opts)
  local args = {jobId, nowMs, completed and 'returnvalue' or 'failedReason', value, status, fetch, B .. ':', opts, fields}
  local ok, r = pcall(BULL.moveToFinished, keys, args)
  if not ok then
    if isRefused(r) then error(r, 0) end
    if hasEnded(B, jobId, completed and 'completed' or 'failed') then
      -- it has ended, and the fetch of the next has failed, perhaps after it had moved it: all goes back, in its order (I6)
      mend(B, r)
      r = nil
    else
      -- what is half ended is active again
      if not redis.call('LPOS', B .. ':active', jobId) then redis.call('RPUSH', B .. ':active', jobId) end
      if not mend(B, r) then error(r, 0) end
      r = BULL.moveToFinished(keys, args)
    end
  end
  if r == -2 or r == -6 then
    -- no lock, or not ours, and nothing changed yet
    redis.call('SET', lock, lockToken, 'PX', lockMs)
    r = BULL.moveToFinished(keys, args)
  end
  if r == -4 and childrenOf(B .. ':' .. jobId) then
    -- a person has had a child of it tried again since it joined its queue: it does not wait for that
    redis.call('DEL', B .. ':' .. jobId .. ':dependencies')
    r = BULL.moveToFinished(keys, args)
  end
  if r == -4 or r == -9 then
    -- it has children that have not ended, or failed: nothing will end it later
    local kept = {}
    for name, option in pairs(cmsgpack.unpack(opts)) do kept[name] = option end
    kept.keepJobs = {count = -1}
    args = {jobId, nowMs, 'failedReason', 'it has completed, and has children that have not', 'failed', '0', B .. ':', kept, fields}
    BULL.moveToFinished(keysOf.failed(B, jobId), args)
  end
  return r
end

-- When its turn comes it fails for that reason, without running; then its try is counted.
local function postpone(B, jobId, reason)
  redis.call('HSET', B .. ':' .. jobId, 'defa', reason)
  redis.call('HINCRBY', B .. ':' .. jobId, 'atm', -1)
end

-- After these the job is kept.
local COMES_BACK = {retrying = true, blocked = true, postponed = true}

-- A read comes back while 'holder', one that ran beside it, already has, and holds the entity: it waits behind that, and the hold
-- lasts until both their times have come. If it has used up its tries, it fails, without running, when its turn comes.
local function waitBehind(B, holder, jobId, try)
  redis.call('LREM', B .. ':wait', -1, jobId)
  redis.call('LINSERT', B .. ':wait', 'BEFORE', holder, jobId)
  local hold = holdOf(B)
  if not try.delayMs then
    postpone(B, jobId, try.shared)
  elseif try.delayMs > hold.left then
    setHold(B, string.format('%.0f:%.0f:%s:%s', nowMs + try.delayMs, try.delayMs, hold.made, hold.id))
  end
end

-- A failed try after which the job is kept, by BullMQ's own bodies. 'how' is JSON: {attempt, delayMs, strict, postponed, shared}.
-- Strict: all that was fetched but 'kept' goes back, the job itself last, to the head of the queue, where a hold keeps it (I6, race
-- 6). Shared: why it has failed, of a read, which may have to wait behind another one.
-- Without delayMs only a person ends the hold; it outlives those of jobs that were put before its own, which are tried again at
-- once. The answer to this end may have been lost: the job waits again, or was fetched anew.
local function retryJob(B, jobId, lockMs, how, fields, kept)
  local try, job = cjson.decode(how), B .. ':' .. jobId
  local delayMs = try.delayMs or BLOCKED_MS
  if tonumber(redis.call('HGET', job, 'ats') or try.attempt) ~= try.attempt then return 0 end
  local holder = try.shared and select(2, heldForMs(B))
  if try.strict then giveBackUnstarted(B, kept or {[jobId] = true}) end
  redis.call('HDEL', job, 'left')
  redis.call('SET', job .. ':lock', lockToken, 'PX', lockMs)
  if not try.strict and delayMs > 0 then
    return BULL.moveToDelayed(keysOf.moveToDelayed(B, jobId),
      {B .. ':', nowMs, jobId, lockToken, delayMs, '0', fields, '0', ''})
  end
  local push = try.strict and 'RPUSH' or 'LPUSH'
  local r = BULL.retryJob(keysOf.retryJob(B, jobId), {B .. ':', nowMs, push, jobId, lockToken, fields})
  if r ~= 0 or not try.strict then return r end
  -- BullMQ puts one with a priority among its peers (race 33)
  if redis.call('ZREM', B .. ':prioritized', jobId) == 1 then redis.call('RPUSH', B .. ':wait', jobId) end
  if holder then
    waitBehind(B, holder, jobId, try)
  elseif try.postponed then
    postpone(B, jobId, try.postponed)
  elseif delayMs > 0 and not (try.delayMs and isBlockedBehind(B)) then
    local untilMs = try.delayMs and nowMs + delayMs or BLOCKED_MS
    setHold(B, string.format('%.0f:%.0f:%s:%s', untilMs, delayMs, redis.call('HGET', job, 'atm'), jobId))
  end
  return r
end

-- Whether an end overtakes that of an older job, which was refused: counted now, a crash would run the older one after it
-- (I6). Active is newest first. A job that is not in it is its own matter; so is one that a plain BullMQ worker holds, and, to a
-- read, one that it has 'beside' it.
local function overtakes(B, jobId, beside)
  local active = B .. ':active'
  if redis.call('LINDEX', active, '-1') == jobId then return false end
  local position = redis.call('LPOS', active, jobId)
  if not position then return false end
  for _, id in ipairs(redis.call('LRANGE', active, position + 1, -1)) do
    if not (beside and beside[id]) and not isForeign(B, id) then return true end
  end
  return false
end

-- As that, of jobs that end together: those older than the last of them are among them.
local function overtakeTogether(B, isEnding)
  local isOlder = false
  for _, id in ipairs(redis.call('LRANGE', B .. ':active', 0, -1)) do
    if isEnding[id] then
      isOlder = true
    elseif isOlder and not isForeign(B, id) then
      return true
    end
  end
  return false
end

-- Whether what goes with the end of a job is the word of its parent.
local function isChild(nextMs) return nextMs ~= '' and string.sub(nextMs, 1, 6) == 'child ' end

-- 'reply' ('': nobody waits) is answered where the job has ended by this, for good: once, however often its end is sent.
local function finishJob(B, jobId, lockMs, status, value, opts, fields, nextMs, reply, fetch, kept)
  local parent
  if isChild(nextMs) then
    parent = parentOf(B, jobId, string.sub(nextMs, 7))
  elseif nextMs ~= '' then
    advance(B, jobId, nextMs)
  end
  local isFailed = status == 'failed' or status == 'dead'
  if isFailed and redis.call('HEXISTS', B .. ':' .. jobId, 'timestamp') == 0 and redis.call('LPOS', B .. ':active', jobId) then
    Lost.add(B, jobId)
  end
  local r
  if COMES_BACK[status] then
    r = retryJob(B, jobId, lockMs, value, fields, kept)
  elseif status == 'dead' then
    local was = Letters.remains(B, jobId, fields)
    local ok
    ok, r = pcall(endJob, B, jobId, lockMs, 'failed', value, opts, fields, fetch)
    if was then Letters.moveToDeadLetters(B, jobId, was, ok and (type(r) ~= 'number' or r >= 0)) end
    if not ok then error(r, 0) end
  else
    r = endJob(B, jobId, lockMs, status, value, opts, fields, fetch)
  end
  if type(r) == 'number' and (r == -1 or r == -3) then
    -- its hash was deleted, or a person moved it: leave nothing of it behind
    redis.call('LREM', B .. ':active', 0, jobId)
    redis.call('DEL', B .. ':' .. jobId .. ':lock')
  end
  if reply ~= '' and (type(r) ~= 'number' or r >= 0) then pcall(answer, reply, value) end
  tellParent(parent)
  return r
end

-- Ends jobs in one step. Those that end for good do so first, in their order: what is done must not be given back with the rest,
-- and run again. Then those that keep their place go back to the head, the last one first (I6). Answers BullMQ's codes.
local SETTLED = 8
local function finishTogether(B, settled)
  local back, kept, codes = {}, {}, {}
  local function finishAt(s, keptIds)
    local jobId, lockMs, status, value, opts, fields, nextMs, reply = unpack(settled, s, s + SETTLED - 1)
    local r = finishJob(B, jobId, lockMs, status, value, opts, fields, nextMs, reply, '0', keptIds)
    codes[(s - 1) / SETTLED + 1] = type(r) == 'number' and r or 0
  end
  for s = 1, #settled, SETTLED do
    local jobId, status, value = settled[s], settled[s + 2], settled[s + 3]
    if COMES_BACK[status] and cjson.decode(value).strict then
      back[#back + 1] = s
      kept[jobId] = true
    else
      finishAt(s)
    end
  end
  for b = #back, 1, -1 do
    finishAt(back[b], kept)
    kept[settled[back[b]]] = nil
  end
  return codes
end

-- Of a job that ends: those that come back have {attempt, delayMs, strict, postponed} as their value, and no opts; 'nextMs' is ''
-- but where a job of a schedule is through, or one that has a parent: 'child <BullMQ's field parent>'; 'reply' is '' but where somebody waits
-- and the job ends for good.
-- finish: B epoch n takeOpts ordered | jobId lockMs status value opts fields nextMs reply | of a read, the jobs beside it: id…
-- Returns {'OK', code, againInMs, jobs…}; code 0 or BullMQ's. {'EARLY'} when an older job has not ended; {'STALE'}.
function OPS.finish(B, epoch, n, takeOpts, ordered, jobId, lockMs, status, value, opts, fields, nextMs, reply, ...)
  if not mine(B, epoch) then return {'STALE'} end
  local kept
  if select('#', ...) > 0 then
    kept = {[jobId] = true}
    for _, id in ipairs({...}) do kept[id] = true end
  end
  if ordered == '1' and overtakes(B, jobId, kept) then return {'EARLY'} end
  n = tonumber(n)
  -- An empty fetch costs BullMQ's body six commands; that nothing is there to fetch is seen in one. BullMQ's fetch knows no hold.
  -- The parent of a child may join this queue, at its end, before anything is fetched.
  local fetches = n > 0 and not isChild(nextMs) and not COMES_BACK[status] and not claimOf(B)[HOLD] and not claimOf(B)[RECALL]
    and not isPausedByType(B)
  if fetches and nextMs == '' and redis.call('EXISTS', B .. ':wait', B .. ':prioritized', B .. ':delayed') == 0 then
    n = 0
    fetches = false
  end
  local r = finishJob(B, jobId, lockMs, status, value, opts, fields, nextMs, reply, fetches and '1' or '0', kept)
  local out = {'OK', 0, '-1'}
  if type(r) == 'table' and type(r[1]) == 'table' then
    weigh(r[1])
    out[4] = r[2]
    out[5] = asRun(B, r[2], r[1])
    take(B, n - 1, takeOpts, out, 3)
  elseif type(r) == 'table' then
    out[3] = againIn(r)
  else
    if r and r < 0 then out[2] = r end
    if r == nil and fetches then
      out[3] = 'recalled'
    elseif not fetches or out[2] < 0 then
      take(B, n, takeOpts, out, 3)
    end
  end
  return out
end

-- finishAll: B epoch n takeOpts ordered | (jobId lockMs status value opts fields nextMs reply)*: jobs that have run as one
-- Returns {'OK', {code…}, againInMs, jobs…}, {'EARLY'}, {'STALE'}.
function OPS.finishAll(B, epoch, n, takeOpts, ordered, ...)
  if not mine(B, epoch) then return {'STALE'} end
  local settled, isEnding = {...}, {}
  for s = 1, #settled, SETTLED do isEnding[settled[s]] = true end
  if ordered == '1' and overtakeTogether(B, isEnding) then return {'EARLY'} end
  local out = {'OK', finishTogether(B, settled), '-1'}
  take(B, tonumber(n), takeOpts, out, 3)
  return out
end

local function differ(one, other) return whole(one) and whole(other) and one ~= other end

-- Whether another job has the id now. Obliterating a queue resets its numbers, and two times may be equal, so either one tells.
-- A damaged or mended hash tells nothing: skipping an end runs its job again.
local function isOther(B, id, wasNth, wasAdded)
  local name, nth, added = unpack(fieldsOf(B .. ':' .. id, {'name', 'nth', 'timestamp'}))
  if not name then return false end
  return differ(wasNth, nth) or differ(wasAdded, added)
end

-- Of ends that are sent again, each behind the birth of its job, those that may count: the answer to an earlier one may have been lost,
-- and another job added under its id since.
local SENT_AGAIN = SETTLED + 2
local function stillOpen(B, ends)
  local open = {}
  for e = 1, #ends, SENT_AGAIN do
    if not isOther(B, ends[e + 2], ends[e], ends[e + 1]) then
      for i = e + 2, e + SETTLED + 1 do open[#open + 1] = ends[i] end
    end
  end
  return open
end

-- settle: B oldEpoch newEpoch | (nth timestamp jobId lockMs status value opts fields nextMs reply)*: a part of what is settled, before
-- the resync that ends the rest; none of these is retried. Returns {'OK'}
function OPS.settle(B, epoch, newEpoch, ...)
  local claim = claimOf(B)
  -- Ours is any epoch between the one we know and the new one: the answer to an earlier resync may have been lost.
  local known = claim[OWNER] == pod and epochOf(claim)
  if not known or known < tonumber(epoch) or known >= tonumber(newEpoch) then return {'STALE'} end
  finishTogether(B, stillOpen(B, {...}))
  return {'OK'}
end

-- resync: B T I oldEpoch newEpoch takeOpts | (nth timestamp jobId lockMs status value opts fields nextMs reply)*
-- The holder begins anew: what is settled is ended first, so that nothing that is done runs again (race 28); the rest
-- goes back, and the first of it is fetched. Returns {'OK', token, 0, 0, againInMs, jobs…}, as a claim does.
function OPS.resync(B, T, I, epoch, newEpoch, takeOpts, ...)
  local claim = claimOf(B)
  if claim[OWNER] == pod and not claim[ENTITY] then
    claims[B] = nil
    redis.call('HSET', fence(B), 'entity', T .. ':' .. I)
  end
  if OPS.settle(B, epoch, newEpoch, ...)[1] == 'STALE' then return {'STALE'} end
  local out = {'OK', grant(B, T, I, newEpoch, 0, true), 0, 0}
  take(B, 1, takeOpts, out, 5)
  return out
end
