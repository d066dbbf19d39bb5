-- The end of a job, for its parent. BullMQ's bodies take the child out of what its parent waits for, and put a parent
-- whose last child has ended into its queue. In the same step, the parent goes to the end of that queue, is marked to
-- fail with its child if it must, and a pod is called for its entity (I7, race 10). An end that comes twice counts
-- once; one that was stopped half-way is completed when it comes again. No damage of a job can throw here once BullMQ's
-- body has written.
-- Owns: the field 'parent' of a job, and the removal of a child. Neighbours: `finish.lua` ends children, `clear-drops.lua`
-- drops them, `flow.lua` adds them.

-- Defined in `schedule-inspection.lua`.
local onParentJoined

-- For a child whose field 'parent' can't be read: BullMQ's key names the parent, if it can be read itself.
local function mendParent(child, key)
  local Q, id = string.match(key, '^(.+):([^:]+)$')
  if not Q then
    redis.call('HDEL', child, 'parentKey', 'parent')
    return nil
  end
  local parent = {queueKey = Q, id = id, idof = true}
  redis.call('HSET', child, 'parent', cjson.encode(parent))
  return parent
end

-- The parent of a job as its hash names it, or as the pod knows it ('told'); nil for most jobs. Damage, over which
-- BullMQ's bodies would fail at each end of the job, is mended, or removed.
local function parentIn(child, told)
  local key, json = unpack(redis.call('HMGET', child, 'parentKey', 'parent'))
  if not key and not json and not told then return nil end
  local parent = tableOf(json or told)
  if type(parent.id) ~= 'string' or type(parent.queueKey) ~= 'string' then
    -- guards: parent.parentIn
    if key then return mendParent(child, key) end
    if json then redis.call('HDEL', child, 'parent') end
    return nil
  end
  if not key and not told then return nil end
  local named = parent.queueKey .. ':' .. parent.id
  if key and key ~= named then redis.call('HSET', child, 'parentKey', named) end
  return parent
end

-- The parent of a job before the job ends; nil for most jobs. 'counted': the parent does not wait for it any more. The
-- result is BullMQ's field 'parent' with one more, 'of', the entity of the parent. 'told' is that field as the pod
-- knows it, for an end that comes again.
local function parentOf(B, id, told)
  local child = B .. ':' .. id
  local parent = parentIn(child, told)
  if not parent then return nil end
  parent.key, parent.child = parent.queueKey .. ':' .. parent.id, child
  parent.counted = redis.call('SISMEMBER', parent.key .. ':dependencies', child) == 0
  parent.waits = redis.call('ZSCORE', parent.queueKey .. ':waiting-children', parent.id)
  return parent
end

-- The children of a parent in a flow of this library.
local function childrenOf(key)
  local children = tableOf(fieldsOf(key, {'aq'})[1]).children
  return type(children) == 'table' and children or nil
end

-- All children of a parent have ended: mark it to fail, as BullMQ does, for the first failed child that it can't do
-- without.
local function failParent(key)
  local why, notes = {}, redis.call('HGETALL', key .. ':failed')
  if #notes == 0 then return end
  for k = 1, #notes, 2 do why[string.match(notes[k], '[^:]*$')] = notes[k + 1] end
  for _, child in ipairs(childrenOf(key) or {}) do
    local reason = type(child) == 'table' and child.failsParent and why[tostring(child.jobId)]
    if reason then
      -- no format: it ends a text at a NUL
      local who = 'Child ' .. tostring(child.jobId) .. ' ("' .. tostring(child.name) .. '") of ' .. tostring(child.type) .. ' "' .. tostring(child.id) .. '"'
      redis.call('HSET', key, 'defa', who .. ' failed: ' .. reason)
      return
    end
  end
end

-- BullMQ puts it before all jobs that wait; after the removal of its last child, also if it is delayed or has a
-- priority.
local function putInPlace(Q, parent)
  local delay, priority = unpack(fieldsOf(parent.key, {'delay', 'priority'}))
  local delayMs, rank = tonumber(delay) or 0, tonumber(priority) or 0
  -- guards: parent.putInPlace
  if delayMs > 0 then
    redis.call('RPOP', Q .. ':wait')
    redis.call('ZADD', Q .. ':delayed', string.format('%.0f', (nowMs + delayMs) * 0x1000), parent.id)
  elseif rank > 0 then
    redis.call('RPOP', Q .. ':wait')
    redis.call('ZADD', Q .. ':prioritized', rank * 0x100000000 + redis.call('INCR', Q .. ':pc') % 0x100000000, parent.id)
  else
    redis.call('RPOPLPUSH', Q .. ':wait', Q .. ':wait')
  end
end

-- An end that has counted comes again: it may have been stopped before the parent was told, which is in its queue and
-- has not started.
local function tellAgain(parent)
  -- guards: parent.tellAgain
  if parent.waits or redis.call('EXISTS', parent.key) == 0 or redis.call('HEXISTS', parent.key, 'ats') == 1 then return end
  failParent(parent.key)
  onParentJoined(parent.queueKey, parent.of)
end

-- Called after the child has ended, or was removed ('removed': the reason for that). If BullMQ refused, the parent
-- still waits.
local function tellParent(parent, removed)
  if not parent then return end
  -- guards: parent.tellParent
  if parent.counted then
    if not removed then tellAgain(parent) end
    return
  end
  if redis.call('SISMEMBER', parent.key .. ':dependencies', parent.child) == 1 then return end
  if removed and parent.of then redis.call('HSET', parent.key .. ':failed', parent.child, removed) end
  local Q = parent.queueKey
  if not parent.waits or redis.call('ZSCORE', Q .. ':waiting-children', parent.id) then return end
  if redis.call('LINDEX', Q .. ':wait', -1) == parent.id then putInPlace(Q, parent) end
  failParent(parent.key)
  onParentJoined(Q, parent.of)
end

-- Returns BullMQ's code: 1 if it is removed. For its parent it has failed.
local function removeJob(B, id)
  local parent = parentOf(B, id)
  local r = BULL.removeJob({B .. ':' .. id, B .. ':repeat'}, {id, '0', B .. ':'})
  -- guards: parent.removeJob
  tellParent(parent, 'it was removed')
  return r
end
