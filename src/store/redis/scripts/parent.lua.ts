/**
 * What the end of a job means for its parent. BullMQ's own bodies take the child out of what its parent waits for, and put a
 * parent whose last child has ended into its queue. Here, in the same step: the parent goes to the end of that queue, is told
 * to fail with its child if it is to, and whoever works its entity is called (I7, race 10). An end that comes twice counts once.
 * Only jobs that have a parent come here. Neighbours: `finish.lua.ts` ends children, `claim.lua.ts` removes them, `flow.lua.ts`
 * adds them.
 */
export const parentLua = /* lua */ `
-- What is done when a parent has joined its queue: made where pods are called.
local parentJoined

-- The parent that waits for a job, as it stands before the job ends; nothing for most jobs, and for one that has counted.
-- 'parent' is BullMQ's field, with one more: 'of', whose queue the parent is in.
local function parentOf(B, id)
  local child = B .. ':' .. id
  local key, json = unpack(redis.call('HMGET', child, 'parentKey', 'parent'))
  if not key or not json or redis.call('SISMEMBER', key .. ':dependencies', child) == 0 then return nil end
  local parent = cjson.decode(json)
  parent.key, parent.child = key, child
  parent.waits = redis.call('ZSCORE', parent.queueKey .. ':waiting-children', parent.id)
  return parent
end

-- The children of a parent in a flow of ours.
local function childrenOf(key)
  local envelope = redis.call('HGET', key, 'aq')
  return envelope and cjson.decode(envelope).children
end

-- All children of a parent have ended: it is to fail, as BullMQ has it done, with the first that it may not do without.
local function failParent(key)
  local why, notes = {}, redis.call('HGETALL', key .. ':failed')
  if #notes == 0 then return end
  for k = 1, #notes, 2 do why[string.match(notes[k], '[^:]+$')] = notes[k + 1] end
  for _, child in ipairs(childrenOf(key) or {}) do
    if child.failsParent and why[child.jobId] then
      local who = string.format('Child %s ("%s") of %s "%s"', child.jobId, child.name, child.type, child.id)
      redis.call('HSET', key, 'defa', who .. ' failed: ' .. why[child.jobId])
      return
    end
  end
end

-- BullMQ puts it before all that waits; where its last child was removed, also one that is for later.
local function putInPlace(Q, parent)
  local delayMs = tonumber(redis.call('HGET', parent.key, 'delay') or '0')
  if delayMs > 0 then
    redis.call('RPOP', Q .. ':wait')
    redis.call('ZADD', Q .. ':delayed', string.format('%.0f', (nowMs + delayMs) * 0x1000), parent.id)
  else
    redis.call('RPOPLPUSH', Q .. ':wait', Q .. ':wait')
  end
end

-- After the child has ended, or was removed ('removed': how that is told). Where BullMQ refused, it is still waited for.
local function tellParent(parent, removed)
  if not parent or redis.call('SISMEMBER', parent.key .. ':dependencies', parent.child) == 1 then return end
  if removed and parent.of then redis.call('HSET', parent.key .. ':failed', parent.child, removed) end
  local Q = parent.queueKey
  if not parent.waits or redis.call('ZSCORE', Q .. ':waiting-children', parent.id) then return end
  if redis.call('LINDEX', Q .. ':wait', -1) == parent.id then putInPlace(Q, parent) end
  failParent(parent.key)
  parentJoined(Q, parent.of)
end
`;
