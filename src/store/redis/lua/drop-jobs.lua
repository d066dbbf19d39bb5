-- The calls of drops: an operator drops the jobs of an entity that wait, or were fetched and have not started; later calls
-- remove the dropped jobs in pages. `leftovers` finds drops whose caller is gone, and entities of resumed types.
-- Owns: which jobs a drop spares, and how the owner is told. Neighbour: `clear-drops.lua` takes jobs out of the queue and
-- removes a page of them.

-- Entries of lists that a drop reads for the present jobs of schedules, to keep their order (I6, I11).
local MAX_SEARCHED = 5000000

-- The present jobs of schedules are not dropped: each goes back to its place. The oldest of those that wait is next,
-- except for the job that holds the entity.
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
    -- it stays in the list of dropped jobs, whose removal passes over it
    if place == 'wait' and redis.call('EXISTS', B .. ':' .. id) == 1 and not inSomeState(B, id) then
      redis.call('HSET', B .. ':' .. id, 'after', drop)
      waiting[#waiting + 1] = id
      -- the newest is at 0; in a long list, the schedule that runs next counts as the oldest
      at[id] = isShort and redis.call('LPOS', dropped, id) or -#waiting
    end
  end
  table.sort(waiting, function(one, other) return at[one] > at[other] end)
  for _, id in ipairs(waiting) do redis.call(held and held.id == id and 'RPUSH' or 'LPUSH', B .. ':wait', id) end
end

-- Fetched jobs are dropped once the owner has told which of them have started. If the owner's lease has passed, they
-- are dropped now: some may have started, and must not run again.
local function dropFetched(B, T, I)
  -- guards: drop-jobs.dropFetched
  if isLive(claimOf(B)) then return recall(B, T, I, 'drop') end
  if redis.call('EXISTS', B .. ':active') == 0 then return end
  keepQueueAlive(B, T, I)
  redis.call('HSET', fence(B), 'recall', 'drop')
  claims[B] = nil
  local _, _, isMore = recover(B)
  disown(B)
  if not isMore then giveUp(B) end
end

-- Drops all jobs that wait, are delayed, or wait for children, and those that were fetched and have not started.
-- Returns {'1' if some of them are not removed yet, or '0'} | {'SHARED', entity}
function OPS.drop(B, T, I)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local drop = DROPS.take(B, T, I)
  -- guards: drop-jobs.OPS.drop
  if drop then spare(B, drop) end
  dropFetched(B, T, I)
  local isMore = DROPS.clear(B, T, I)
  if not isLive(claimOf(B)) then inspectNow(B, T, I) end
  -- the ids of the jobs that are left are not given again
  if isMore then redis.call('PERSIST', fence(B)) end
  return {isMore and '1' or '0'}
end

-- Removes a page of dropped jobs. Returns as drop.
function OPS.clear(B, T, I)
  local isMore = DROPS.clear(B, T, I)
  -- guards: drop-jobs.OPS.clear
  if not isMore and not claimOf(B)[OWNER] and not isParked(B) then expireIdleFence(B) end
  return {isMore and '1' or '0'}
end

-- Whether the owner has yet to tell which jobs it had started when all were dropped. It is told again.
function OPS.isDropping(B, T, I)
  if claimOf(B)[RECALL] ~= 'drop' or redis.call('EXISTS', B .. ':active') == 0 then return {'0'} end
  -- guards: drop-jobs.OPS.isDropping
  dropFetched(B, T, I)
  if isLive(claimOf(B)) then return {'1'} end
  inspectNow(B, T, I)
  return {claimOf(B)[RECALL] == 'drop' and '1' or '0'}
end

-- Schedules inspections for a page of entities of resumed types, and finds drops whose caller is gone. Rest: T*
-- Returns {'1' if more must be scheduled, or '0', T, I, T, I …}
function OPS.leftovers(limit, ...)
  local out = {'0'}
  for _, T in ipairs({...}) do
    local resumed = isTypePaused(T) and {} or redis.call('ZRANGEBYSCORE', sys .. 'due:' .. T, PARKED, PARKED, 'LIMIT', 0, limit)
    -- guards: drop-jobs.OPS.leftovers
    for _, I in ipairs(resumed) do inspectBy(T, I, nowUs) end
    if #resumed == tonumber(limit) then out[1] = '1' end
    local left = redis.call('ZRANGEBYSCORE', sys .. 'dropped:' .. T, '-inf', string.format('%.0f', nowUs), 'LIMIT', 0, limit)
    for _, I in ipairs(left) do
      out[#out + 1] = T
      out[#out + 1] = I
    end
  end
  return out
end
