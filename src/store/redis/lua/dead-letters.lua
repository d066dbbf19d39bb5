-- Dead letters for an operator: lists, removes and replays them.
-- Neighbours: `move-to-dead-letters.lua` makes a letter, `job-views.lua` reads rows of jobs.

-- The dead letters of a type, the oldest first.
-- Returns {cut, …}, for each {letter, entity, jobId, name, data, timestamp, finishedOn, attempts, reason, stacks,
-- envelope}
local LETTER = {'entity', 'jobId', 'name', 'data', 'timestamp', 'finishedOn', 'atm', 'failedReason', 'stacktrace', 'aq'}
function OPS.letters(T, from, limit)
  local S = Letters.base(T)
  return viewsOf(S, redis.call('ZRANGE', S .. ':failed', from, from + limit - 1), LETTER)
end

-- The ids of letters after a given one.
function OPS.letterIds(T, after, limit)
  return redis.call('ZRANGEBYSCORE', Letters.base(T) .. ':failed', '(' .. after, '+inf', 'LIMIT', 0, limit)
end

-- Returns {entity of a letter, or ''}
function OPS.letterOf(T, letter)
  if not redis.call('ZSCORE', Letters.base(T) .. ':failed', letter) then return {''} end
  return {redis.call('HGET', Letters.base(T) .. ':' .. letter, 'entity') or ''}
end

function Letters.remove(T, letter)
  local S = Letters.base(T)
  -- if it is no letter, it is no key of ours to delete
  if redis.call('ZREM', S .. ':failed', letter) == 0 then return 0 end
  local job = S .. ':' .. letter
  return redis.call('UNLINK', job, job .. ':processed', job .. ':failed') > 0 and 1 or 0
end

function OPS.removeLetter(T, letter) return {Letters.remove(T, letter)} end

-- The job of a letter joins the queue of its entity under a new id, with all its attempts.
-- Returns {jobId} | {''}, no such letter | {'DAMAGED'} | {'SHARED', entity} | {'REFUSED', BullMQ's code}
function OPS.replay(B, T, I, letter)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local fields = redis.call('HMGET', Letters.base(T) .. ':' .. letter, 'entity', 'name', 'data', 'opts', 'aq')
  if fields[1] ~= I then return {''} end
  if not fields[2] or not fields[3] then return {'DAMAGED'} end
  local opts = tableOf(fields[4])
  -- options that were about its first add
  -- guards: dead-letters.OPS.replay
  opts.jobId, opts.delay, opts.de, opts.timestamp, opts.parent = nil, nil, nil, nil, nil
  opts['repeat'], opts.prevMillis = nil, nil
  local kind = (tonumber(opts.priority) or 0) > 0 and 'prioritized' or 'standard'
  local id = addJob(B, kind, fields[2], nowMs, fields[3], opts, '', '', fields[5] or '')
  if type(id) == 'number' then return {'REFUSED', id} end
  Letters.moveBrought(Letters.base(T) .. ':' .. letter, B .. ':' .. id)
  Letters.remove(T, letter)
  keepQueueAlive(B, T, I)
  inspectNow(B, T, I)
  return {id}
end
