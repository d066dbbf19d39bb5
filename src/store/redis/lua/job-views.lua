-- What an operator sees of an entity: its status and its jobs. Nothing here writes.
-- Neighbours: `control.lua` and `drop-jobs.lua` change entities; `dead-letters.lua` lists dead letters with the same
-- rows.

-- The jobs that run for long, as the last renewal of the present owner has told: {id, name, since when, …}
local function longRunsOf(B)
  local c, out = redis.call('HMGET', fence(B), 'owner', 'epoch', 'runs'), {}
  local told = c[1] and c[2] and c[3] and c[1] .. ' ' .. c[2] .. ' '
  -- guards: job-views.longRunsOf
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

-- Returns {waiting, active, delayed, failed, waiting for children, paused ('1' | '0'), id of the job that blocks it,
-- and why, or ''; id, name and since when of the jobs that run for long}
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

-- Ids from a position on. A list has the next job at its end; a set is read by its lowest scores, or by its highest.
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

-- Returns {'1' if it was cut off for its size, or '0', …}, for each job its id and these fields; '' for a field that is
-- not there.
-- guards: job-views.idsIn
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

-- Returns {cut, …}, for each job id, name, data, timestamp, attempts, why the last one failed, envelope
local VIEW = {'name', 'data', 'timestamp', 'atm', 'failedReason', 'aq'}
function OPS.list(B, state, from, limit)
  return viewsOf(B, idsIn(B, state, tonumber(from), tonumber(limit)), VIEW)
end
