-- Gives fetched jobs back to their queue, in their old order: when their owner asks for it, at a release, a takeover, or
-- before a retry under strict ordering.
-- Owns: what counts as not started, and refunds of the rate limit. Neighbours: `grant.lua` takes over, `release.lua`
-- releases, `clear-drops.lua` removes what an operator has dropped.

local function isForeign(B, id)
  local holder = redis.call('GET', B .. ':' .. id .. ':lock')
  -- guards: give-back.isForeign
  return holder and string.sub(holder, 1, 3) ~= 'aq:'
end

-- Defined in `mend.lua`.
local mendJob

-- A fetched job whose queue an operator has dropped: dropped, unless it is a schedule's present job. Returns whether it
-- is.
local function dropOne(B, drop, id)
  -- guards: give-back.dropOne
  if DROPS.isPresent(B, id) then return false end
  redis.call('LPUSH', DROPS.key(B, drop, 'active'), id)
  return true
end

-- Gives fetched jobs back, in their old order; with 'drop', they are dropped. Active has the newest first; the job that
-- is pushed last is fetched next. Jobs under a live lock that is not ours belong to a plain BullMQ worker and stay, as
-- do the keys of 'kept'.
-- Returns the ids of jobs that are back, how many are foreign, and whether more are left.
local function giveBack(B, kept, drop, most)
  local back = {}
  local foreign = 0
  local active = redis.call('LRANGE', B .. ':active', 0, -1)
  local left = most or #active
  for position, id in ipairs(active) do
    if isForeign(B, id) then
      foreign = foreign + 1
    -- guards: give-back.giveBack
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

-- The drop that takes what is given back now, or nil.
local function pendingDrop(B)
  local claim = claimOf(B)
  -- guards: give-back.pendingDrop
  if claim[RECALL] ~= 'drop' or redis.call('EXISTS', B .. ':active') == 0 then return nil end
  local T, I = entityOf(B)
  if not T then error('whose queue ' .. B .. ' is can not be read: its claim is damaged', 0) end
  return DROPS.begin(B, T, I), T, I
end

-- A job that has not started does not count for the rate limit of its type, if it was fetched within the present span.
-- BullMQ does not count a job that must fail.
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

-- Gives back jobs that have certainly not started: their fetch was no attempt. If an operator has dropped the queue
-- since, they are dropped.
local function giveBackUnstarted(B, kept)
  local drop, T, I = pendingDrop(B)
  local back, foreign = giveBack(B, kept, drop)
  -- guards: give-back.giveBackUnstarted
  if #back > 0 then refund(B, back) end
  for _, id in ipairs(back) do
    if not pcall(write, 'HINCRBY', B .. ':' .. id, 'ats', -1) then mendJob(B, id) end
  end
  if drop then DROPS.clear(B, T, I) end
  return back, foreign
end

-- Gives back what a dead owner had fetched, which may have started, as much as one step may.
local MAX_RECOVERED = 1000
local function recover(B)
  local drop, T, I = pendingDrop(B)
  -- guards: give-back.recover
  local back, foreign, isMore = giveBack(B, nil, drop, MAX_RECOVERED)
  if drop then DROPS.clear(B, T, I) end
  return back, foreign, isMore
end

-- Gives back all fetched jobs but those of the rest: ids of jobs that have started, or whose end is not confirmed.
function OPS.giveBack(B, epoch, ...)
  -- guards: give-back.OPS.giveBack
  if not owns(B, epoch) then return {'STALE'} end
  local kept = {}
  for _, id in ipairs({...}) do kept[id] = true end
  giveBackUnstarted(B, kept)
  claims[B] = nil
  redis.call('HDEL', fence(B), 'recall')
  return {'OK'}
end
