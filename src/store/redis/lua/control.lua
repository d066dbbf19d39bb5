-- What a person does to one entity, wherever it is worked. With a pause its owner is recalled: what it has fetched and not
-- started goes back.
-- Neighbour: `take.lua` and BullMQ's bodies see to it that nothing is fetched of a queue that is paused or blocked.

-- pause: B T I how ('paused' | 'resumed'); returns {how many jobs an old version's pause still holds back}, {'SHARED', whose}
function OPS.pause(B, T, I, how)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local keys = how == 'paused' and keysOf.pause(B) or keysOf.resume(B)
  local left = BULL.pause(keys, {how, '1'})
  local claim = claimOf(B)
  if how == 'resumed' then
    lookNow(B, T, I)
  elseif claim[OWNER] then
    -- also one whose lease has passed: nobody takes over what is paused, and it may come back
    recall(B, T, I, 'pause')
  else
    keepQueueAlive(B, T, I)
  end
  if not isLive(claim) and not hasWork(B) then redis.call('EXPIRE', B .. ':events', 60) end
  return {left}
end

-- pauseType: T how; takes effect with the next fetch of any of its entities
function OPS.pauseType(T, how)
  pausedTypes[T] = nil
  if how == 'resumed' then redis.call('DEL', sys .. 'paused:' .. T) else redis.call('SET', sys .. 'paused:' .. T, '1') end
  return {'OK'}
end

-- entitiesOf: T cursor count; those that are not drained. Returns {next cursor, I…}
function OPS.entitiesOf(T, cursor, count)
  local page = redis.call('ZSCAN', sys .. 'due:' .. T, cursor, 'COUNT', count)
  local out = {page[1]}
  for k = 1, #page[2], 2 do out[#out + 1] = page[2][k] end
  return out
end

-- tellOfType: T (B I)*; its pause, or the end of it, is told to those who work the entities
function OPS.tellOfType(T, ...)
  local isNow, all = isTypePaused(T), {...}
  for k = 1, #all, 2 do
    if isNow then recall(all[k], T, all[k + 1], 'pause') else lookNow(all[k], T, all[k + 1]) end
  end
  return {'OK'}
end

-- Entries of lists that a drop looks through for the present jobs of schedules, to keep their order (I6, I11).
local MAX_SEARCHED = 5000000

-- The present jobs of schedules are not dropped; each goes back where it was. Of those that wait the oldest is next, but for the one
-- that holds the entity.
local function spare(B, drop)
  local held, waiting, at = holdOf(B), {}, {}
  local schedules = redis.call('ZRANGE', B .. ':repeat', 0, -1, 'WITHSCORES')
  local dropped = DROPS.key(B, drop, 'wait')
  local isShort = redis.call('LLEN', dropped) * #schedules < 2 * MAX_SEARCHED
  for k = 1, #schedules, 2 do
    local id = 'repeat:' .. schedules[k] .. ':' .. schedules[k + 1]
    local place = 'wait'
    for _, set in ipairs({'delayed', 'prioritized'}) do
      local score = redis.call('ZSCORE', DROPS.key(B, drop, set), id)
      if score then
        place = set
        redis.call('ZREM', DROPS.key(B, drop, set), id)
        redis.call('ZADD', B .. ':' .. set, score, id)
      end
    end
    -- it stays in the list of what was dropped, which passes over it
    if place == 'wait' and redis.call('EXISTS', B .. ':' .. id) == 1 and not inSomeState(B, id) then
      redis.call('HSET', B .. ':' .. id, 'after', drop)
      waiting[#waiting + 1] = id
      -- the newest is at 0; where the list is long, the next to run counts as the oldest
      at[id] = isShort and redis.call('LPOS', dropped, id) or -#waiting
    end
  end
  table.sort(waiting, function(one, other) return at[one] > at[other] end)
  for _, id in ipairs(waiting) do redis.call(held and held.id == id and 'RPUSH' or 'LPUSH', B .. ':wait', id) end
end

-- What is fetched goes when its owner has told what of it has started; where the owner's lease has passed, now: some of it may have
-- started, and does not run again.
local function dropFetched(B, T, I)
  if isLive(claimOf(B)) then return recall(B, T, I, 'drop') end
  if redis.call('EXISTS', B .. ':active') == 0 then return end
  keepQueueAlive(B, T, I)
  redis.call('HSET', fence(B), 'recall', 'drop')
  claims[B] = nil
  local _, _, isMore = recover(B)
  disown(B)
  if not isMore then giveUp(B) end
end

-- drop: B T I; all that waits, also for later, or for its children, and what was fetched and has not started
-- Returns {'1' when not all of it is removed yet, or '0'}, {'SHARED', whose}
function OPS.drop(B, T, I)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local drop = DROPS.take(B, T, I)
  if drop then spare(B, drop) end
  dropFetched(B, T, I)
  local isMore = DROPS.clear(B, T, I)
  if not isLive(claimOf(B)) then lookNow(B, T, I) end
  -- the ids of what is left are not given again
  if isMore then redis.call('PERSIST', fence(B)) end
  return {isMore and '1' or '0'}
end

-- clear: B T I; removes a page of what was dropped. Returns as drop.
function OPS.clear(B, T, I)
  local isMore = DROPS.clear(B, T, I)
  if not isMore and not claimOf(B)[OWNER] and not isParked(B) then expireIdleFence(B) end
  return {isMore and '1' or '0'}
end

-- isDropping: B T I; whether the owner has to tell yet what it had started when all was dropped: it is told again
function OPS.isDropping(B, T, I)
  if claimOf(B)[RECALL] ~= 'drop' or redis.call('EXISTS', B .. ':active') == 0 then return {'0'} end
  dropFetched(B, T, I)
  if isLive(claimOf(B)) then return {'1'} end
  lookNow(B, T, I)
  return {claimOf(B)[RECALL] == 'drop' and '1' or '0'}
end

-- leftovers: limit T…; enters entities of types that are resumed, a page of each, and finds drops whose caller is gone
-- Returns {'1' when there are more to enter, or '0', T, I, T, I …}
function OPS.leftovers(limit, ...)
  local out = {'0'}
  for _, T in ipairs({...}) do
    local resumed = isTypePaused(T) and {} or redis.call('ZRANGEBYSCORE', sys .. 'due:' .. T, PARKED, PARKED, 'LIMIT', 0, limit)
    for _, I in ipairs(resumed) do lookBy(T, I, nowUs) end
    if #resumed == tonumber(limit) then out[1] = '1' end
    local left = redis.call('ZRANGEBYSCORE', sys .. 'dropped:' .. T, '-inf', string.format('%.0f', nowUs), 'LIMIT', 0, limit)
    for _, I in ipairs(left) do
      out[#out + 1] = T
      out[#out + 1] = I
    end
  end
  return out
end

-- unblock: B T I how ('retry' | 'skip' | 'drop') jobId ('': whichever); returns {'1'} when it blocked the entity,
-- {'REFUSED', BullMQ's code}
function OPS.unblock(B, T, I, how, jobId)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local id = blockerOf(B)
  if not id or (jobId ~= '' and jobId ~= id) then return {'0'} end
  local job = B .. ':' .. id
  if how == 'retry' then
    redis.call('HSET', job, 'atm', '0')
    redis.call('HDEL', job, 'defa', 'stc', 'thrown')
  elseif how == 'skip' then
    redis.call('HSET', job, 'defa', redis.call('HGET', job, 'failedReason') or 'skipped', 'skip', '1')
  else
    local r = removeJob(B, id)
    if r ~= 1 then return {'REFUSED', r} end
  end
  setHold(B, nil)
  lookNow(B, T, I)
  return {'1'}
end

-- The jobs that run for long, as the last renewal of the present owner has told: {id, name, since when, …}
local function longRunsOf(B)
  local c, out = redis.call('HMGET', fence(B), 'owner', 'epoch', 'runs'), {}
  local told = c[1] and c[2] and c[3] and c[1] .. ' ' .. c[2] .. ' '
  if not told or string.sub(c[3], 1, #told) ~= told then return out end
  local ok, runs = pcall(cjson.decode, string.sub(c[3], #told + 1))
  if not ok or type(runs) ~= 'table' then return out end
  for _, run in ipairs(runs) do
    local id, since = run[1], tonumber(run[2])
    -- it may have ended since
    if type(id) == 'string' and since and redis.call('LPOS', B .. ':active', id) then
      out[#out + 1] = id
      out[#out + 1] = fieldsOf(B .. ':' .. id, {'name'})[1] or ''
      out[#out + 1] = string.format('%.0f', since)
    end
  end
  return out
end

-- status: B T; returns {waiting, active, delayed, failed, waiting for children, paused ('1' | '0'), id of the job that blocks it, and why, or '';
-- id, name and since when of the jobs that run for long}
function OPS.status(B, T)
  local id = blockerOf(B) or ''
  return {
    redis.call('LLEN', B .. ':wait') + redis.call('ZCARD', B .. ':prioritized'),
    redis.call('LLEN', B .. ':active'),
    redis.call('ZCARD', B .. ':delayed'),
    redis.call('ZCARD', B .. ':failed'),
    redis.call('ZCARD', B .. ':waiting-children'),
    (isTypePaused(T) or isPaused(B)) and '1' or '0',
    id,
    id ~= '' and fieldsOf(B .. ':' .. id, {'failedReason'})[1] or '',
    unpack(longRunsOf(B))
  }
end

-- Ids from a position on: of lists, whose next one is at their end, or of sets, lowest scores first or last.
local function idsIn(B, state, from, limit)
  local last = from + limit - 1
  if state == 'delayed' or state == 'waiting-children' then return redis.call('ZRANGE', B .. ':' .. state, from, last) end
  if state == 'failed' or state == 'completed' then return redis.call('ZREVRANGE', B .. ':' .. state, from, last) end
  local list = B .. (state == 'active' and ':active' or ':wait')
  local ids = {}
  local part = redis.call('LRANGE', list, -1 - last, -1 - from)
  for i = #part, 1, -1 do ids[#ids + 1] = part[i] end
  if state == 'waiting' and #ids < limit then
    local before = math.max(0, from - redis.call('LLEN', list))
    local more = redis.call('ZRANGE', B .. ':prioritized', before, before + limit - #ids - 1)
    for _, id in ipairs(more) do ids[#ids + 1] = id end
  end
  return ids
end

-- '1' when it was cut off for its weight, or '0'; for each job of a queue its id, and these fields; '' where there is none.
local MAX_LISTED_BYTES = 4194304
local function viewsOf(B, ids, names)
  local out, bytes = {'0'}, 0
  for _, id in ipairs(ids) do
    if bytes > MAX_LISTED_BYTES then
      out[1] = '1'
      break
    end
    out[#out + 1] = id
    local fields = fieldsOf(B .. ':' .. id, names)
    for f = 1, #names do
      bytes = bytes + #(fields[f] or '')
      out[#out + 1] = fields[f] or ''
    end
  end
  return out
end

-- list: B state from limit; returns {cut, …}, for each job id, name, data, timestamp, tries, why the last one failed, envelope
local VIEW = {'name', 'data', 'timestamp', 'atm', 'failedReason', 'aq'}
function OPS.list(B, state, from, limit)
  return viewsOf(B, idsIn(B, state, tonumber(from), tonumber(limit)), VIEW)
end
