/**
 * Dead letters: jobs that have used up their tries, of all entities of a type, in one queue that nobody works,
 * `{prefix}:$:dead` by name of the type. A letter is a failed job there, with its history; tools of BullMQ can read it.
 * Burying a job is one step with its end, replaying it one with its add: nothing is lost in between, or there twice.
 * Neighbour: `finish.lua.ts` ends jobs.
 */
export const moveToDeadLettersLua = /* lua */ `
local Letters = {}
function Letters.base(T) return sys .. 'dead:' .. T end

-- What its children have brought to a job may be much: it goes along by its keys, and is not copied (I11).
function Letters.moveBrought(from, to)
  for _, name in ipairs({':processed', ':failed'}) do
    if redis.call('EXISTS', from .. name) == 1 then redis.call('RENAME', from .. name, to .. name) end
  end
end

-- What a job was, and of which type, before its end removes it; what its children brought is set aside. 'failure' has names and values
-- of the fields that a failure writes, by turns. Nothing for a job whose hash is gone.
function Letters.remains(B, id, failure)
  local name, data, opts, timestamp, made, starts, envelope =
    unpack(redis.call('HMGET', B .. ':' .. id, 'name', 'data', 'opts', 'timestamp', 'atm', 'ats', 'aq'))
  local T, I = entityOf(B)
  if not name or not T then return nil end
  local was = {type = T, fields = {'name', name, 'data', data or 'null', 'opts', opts or '{}', 'timestamp', timestamp or nowMs,
    'atm', string.format('%.0f', (tonumber(made) or 0) + 1), 'ats', starts or '1', 'finishedOn', nowMs, 'entity', I, 'jobId', id}}
  for _, value in ipairs(cmsgpack.unpack(failure)) do was.fields[#was.fields + 1] = value end
  if envelope then
    was.fields[#was.fields + 1] = 'aq'
    was.fields[#was.fields + 1] = envelope
    Letters.moveBrought(B .. ':' .. id, Letters.base(T) .. ':ending')
  end
  return was
end

-- Makes the letter of a job that has ended. A job that could not end has again what was set aside.
function Letters.moveToDeadLetters(B, id, was, hasEnded)
  local S = Letters.base(was.type)
  if not hasEnded then return Letters.moveBrought(S .. ':ending', B .. ':' .. id) end
  local letter = tostring(redis.call('INCR', S .. ':id'))
  redis.call('HSET', S .. ':' .. letter, unpack(was.fields))
  Letters.moveBrought(S .. ':ending', S .. ':' .. letter)
  redis.call('ZADD', S .. ':failed', letter, letter)
end
`;

export const deadLettersLua = /* lua */ `
-- letters: T from limit; the oldest first
-- Returns {cut, …}, for each {letter, entity, jobId, name, data, timestamp, finishedOn, tries, reason, stacks, envelope}
local LETTER = {'entity', 'jobId', 'name', 'data', 'timestamp', 'finishedOn', 'atm', 'failedReason', 'stacktrace', 'aq'}
function OPS.letters(T, from, limit)
  local S = Letters.base(T)
  return viewsOf(S, redis.call('ZRANGE', S .. ':failed', from, from + limit - 1), LETTER)
end

-- letterIds: T letter limit; those that came after that one
function OPS.letterIds(T, after, limit)
  return redis.call('ZRANGEBYSCORE', Letters.base(T) .. ':failed', '(' .. after, '+inf', 'LIMIT', 0, limit)
end

-- letterOf: T letter; whose it is, or ''
function OPS.letterOf(T, letter)
  if not redis.call('ZSCORE', Letters.base(T) .. ':failed', letter) then return {''} end
  return {redis.call('HGET', Letters.base(T) .. ':' .. letter, 'entity') or ''}
end

function Letters.remove(T, letter)
  local S = Letters.base(T)
  -- what is no letter is no key of ours to delete
  if redis.call('ZREM', S .. ':failed', letter) == 0 then return 0 end
  local job = S .. ':' .. letter
  return redis.call('UNLINK', job, job .. ':processed', job .. ':failed') > 0 and 1 or 0
end

function OPS.removeLetter(T, letter) return {Letters.remove(T, letter)} end

-- replay: B T I letter; its job joins the queue of its entity, with all its tries, under a new id
-- Returns {jobId}, {''} when there is no such letter, {'SHARED', whose}, {'REFUSED', BullMQ's code}
function OPS.replay(B, T, I, letter)
  local whose = sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  local fields = redis.call('HMGET', Letters.base(T) .. ':' .. letter, 'entity', 'name', 'data', 'opts', 'aq')
  if fields[1] ~= I then return {''} end
  if not fields[2] or not fields[3] then return {'DAMAGED'} end
  local opts = tableOf(fields[4])
  -- what was about its first way in
  opts.jobId, opts.delay, opts.de, opts.timestamp, opts.parent = nil, nil, nil, nil, nil
  opts['repeat'], opts.prevMillis = nil, nil
  local kind = (tonumber(opts.priority) or 0) > 0 and 'prioritized' or 'standard'
  local id = addJob(B, kind, fields[2], nowMs, fields[3], opts, '', '', fields[5] or '')
  if type(id) == 'number' then return {'REFUSED', id} end
  Letters.moveBrought(Letters.base(T) .. ':' .. letter, B .. ':' .. id)
  Letters.remove(T, letter)
  keepQueueAlive(B, T, I)
  lookNow(B, T, I)
  return {id}
end
`;
