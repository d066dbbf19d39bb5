-- Drops of any number of jobs (I11). One step renames the lists of the queue, so that none of their jobs can start. The
-- jobs are removed in pages, by the caller, or by any pod if the caller is gone. `{prefix}:$:dropped:<type>` has the
-- entities by the time from which any pod may go on.
--
-- `B:$:dropped` lists the drops of an entity that have jobs left, the oldest first. `B:$:dropped:<drop>:<place>` has
-- what a drop took from a place. A job that must stay, or was added again under its id, notes in its hash the last drop
-- that does not concern it (`after`).
-- Neighbours: `drop-jobs.lua` begins a drop, `give-back.lua` gives back, `known-jobs.lua` tells a job from one that was
-- dropped.

local DROPS = {
  -- in the order in which they are cleared; the first three are lists
  -- guards: clear-drops
  places = {'wait', 'paused', 'active', 'prioritized', 'delayed', 'waiting-children'},
  lists = {wait = true, paused = true, active = true},
  -- removals that one script may make, for all its calls together
  room = 500,
  -- how long other pods leave the pages to the caller, counted from each of them
  callerUs = 5000000,
}

function DROPS.key(B, drop, place) return B .. ':$:dropped:' .. drop .. ':' .. place end

-- The last drop of an entity that has jobs left, or false.
function DROPS.last(B) return redis.call('LINDEX', B .. ':$:dropped', -1) end

function DROPS.leaveToCaller(T, I)
  redis.call('ZADD', sys .. 'dropped:' .. T, string.format('%.0f', nowUs + DROPS.callerUs), I)
end

-- A new drop of an entity; its name is never given twice.
function DROPS.begin(B, T, I)
  -- guards: clear-drops.DROPS.begin
  local drop = string.format('%.0f', math.max(nowUs, tonumber(DROPS.last(B) or '0') + 1))
  redis.call('RPUSH', B .. ':$:dropped', drop)
  DROPS.leaveToCaller(T, I)
  return drop
end

-- Takes all jobs that wait out of the queue. Returns the drop, or nil if none waited.
function DROPS.take(B, T, I)
  local drop
  for _, place in ipairs(DROPS.places) do
    if place ~= 'active' and redis.call('EXISTS', B .. ':' .. place) == 1 then
      drop = drop or DROPS.begin(B, T, I)
      redis.call('RENAME', B .. ':' .. place, DROPS.key(B, drop, place))
    end
  end
  return drop
end

-- Whether it is the present job of a schedule, which no drop concerns.
function DROPS.isPresent(B, id)
  local schedule = fieldsOf(B .. ':' .. id, {'rjk'})[1]
  local score = schedule and redis.call('ZSCORE', B .. ':repeat', schedule)
  return score and id == 'repeat:' .. schedule .. ':' .. score
end

-- Removes one job that is in no place any more, as BullMQ does. For its parent it has failed.
function DROPS.remove(B, id)
  local job = B .. ':' .. id
  local parentKey, key = unpack(fieldsOf(job, {'parentKey', 'deid'}))
  local isRead, parent = pcall(parentOf, B, id)
  if parentKey then BULL.removeChildDependency({B .. ':'}, {job, parentKey}) end
  if key and redis.call('GET', B .. ':de:' .. key) == id then redis.call('DEL', B .. ':de:' .. key, B .. ':dn:' .. key) end
  -- in the background: a parent of thousands has as many members
  redis.call('UNLINK', job, job .. ':logs', job .. ':dependencies', job .. ':processed', job .. ':failed', job .. ':unsuccessful')
  -- guards: clear-drops.DROPS.remove
  if isRead then tellParent(parent, 'it was removed') end
end

-- Up to n ids of the jobs that a drop took from a place.
function DROPS.pop(B, drop, place, n)
  local key = DROPS.key(B, drop, place)
  if DROPS.lists[place] then return redis.call('LPOP', key, n) or {} end
  local ids, scored = {}, redis.call('ZPOPMIN', key, n)
  for k = 1, #scored, 2 do ids[#ids + 1] = scored[k] end
  return ids
end

-- Removes the jobs of one drop, as far as there is room. Returns whether all are gone.
function DROPS.clearOne(B, drop)
  for _, place in ipairs(DROPS.places) do
    while DROPS.room > 0 do
      local ids = DROPS.pop(B, drop, place, DROPS.room)
      if #ids == 0 then break end
      DROPS.room = DROPS.room - #ids
      for _, id in ipairs(ids) do
        local after = fieldsOf(B .. ':' .. id, {'after'})[1]
        -- damaged jobs go, too
        -- guards: clear-drops.DROPS.clearOne
        if not (after and redis.call('LPOS', B .. ':$:dropped', after)) then pcall(DROPS.remove, B, id) end
      end
    end
  end
  return DROPS.room > 0
end

-- Removes a page of dropped jobs. Returns whether more are left.
function DROPS.clear(B, T, I)
  local drop = redis.call('LINDEX', B .. ':$:dropped', 0)
  while drop do
    if not DROPS.clearOne(B, drop) then
      DROPS.leaveToCaller(T, I)
      return true
    end
    redis.call('LPOP', B .. ':$:dropped')
    drop = redis.call('LINDEX', B .. ':$:dropped', 0)
  end
  redis.call('ZREM', sys .. 'dropped:' .. T, I)
  return false
end
