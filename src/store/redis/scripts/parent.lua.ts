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
-- 'parent' is BullMQ's field, with two more: 'of', whose queue the parent is in, and 'fails', who is to blame where the parent
-- fails with this child.
local function parentOf(B, id)
  local child = B .. ':' .. id
  local key, json = unpack(redis.call('HMGET', child, 'parentKey', 'parent'))
  if not key or not json or redis.call('SISMEMBER', key .. ':dependencies', child) == 0 then return nil end
  local parent = cjson.decode(json)
  parent.key, parent.child = key, child
  parent.waits = redis.call('ZSCORE', parent.queueKey .. ':waiting-children', parent.id)
  return parent
end

-- After the child has ended, or was removed ('removed': how that is told). Where BullMQ refused, it is still waited for.
local function tellParent(parent, removed)
  if not parent or redis.call('SISMEMBER', parent.key .. ':dependencies', parent.child) == 1 then return end
  if removed and parent.of then redis.call('HSET', parent.key .. ':failed', parent.child, removed) end
  local why = parent.fails and redis.call('HGET', parent.key .. ':failed', parent.child)
  -- the first one counts
  if why then redis.call('HSETNX', parent.key, 'defa', parent.fails .. ' failed: ' .. why) end
  local Q = parent.queueKey
  if not parent.waits or redis.call('ZSCORE', Q .. ':waiting-children', parent.id) then return end
  -- BullMQ puts it before all that waits
  if redis.call('LINDEX', Q .. ':wait', -1) == parent.id then redis.call('RPOPLPUSH', Q .. ':wait', Q .. ':wait') end
  parentJoined(Q, parent.of)
end
`;
