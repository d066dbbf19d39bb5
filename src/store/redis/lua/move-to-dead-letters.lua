-- Dead letters: jobs without attempts left, of all entities of a type, in one queue without a worker,
-- `{prefix}:$:dead:<type>`. A letter is a failed job there, with its history; tools of BullMQ can read it. A job
-- becomes a letter in the step that ends it, and is replayed in the step that adds it: it is never lost in between, or
-- there twice.
-- Owns: how a letter is made. Neighbours: `finish.lua` ends jobs, `dead-letters.lua` lists, removes and replays
-- letters.

local Letters = {}
function Letters.base(T) return sys .. 'dead:' .. T end

-- The results of its children may be large: their keys are renamed, and not copied (I11).
function Letters.moveBrought(from, to)
  for _, name in ipairs({':processed', ':failed'}) do
    if redis.call('EXISTS', from .. name) == 1 then redis.call('RENAME', from .. name, to .. name) end
  end
end

-- The fields of a job, and its type, before its end removes it; the results of its children are set aside. 'failure'
-- has names and values of the fields that a failure writes, in turn. Returns nil for a job whose hash is gone.
function Letters.remains(B, id, failure)
  local name, data, opts, timestamp, made, starts, envelope =
    unpack(redis.call('HMGET', B .. ':' .. id, 'name', 'data', 'opts', 'timestamp', 'atm', 'ats', 'aq'))
  -- guards: move-to-dead-letters.Letters.remains
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

-- Makes the letter of a job that has ended. A job that could not end gets back what was set aside.
function Letters.moveToDeadLetters(B, id, was, hasEnded)
  local S = Letters.base(was.type)
  -- guards: move-to-dead-letters.Letters.moveToDeadLetters
  if not hasEnded then return Letters.moveBrought(S .. ':ending', B .. ':' .. id) end
  local letter = tostring(redis.call('INCR', S .. ':id'))
  redis.call('HSET', S .. ':' .. letter, unpack(was.fields))
  Letters.moveBrought(S .. ':ending', S .. ':' .. letter)
  redis.call('ZADD', S .. ':failed', letter, letter)
end
