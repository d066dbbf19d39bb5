-- Fetching jobs: BullMQ's own `moveToActive`, as often as asked for.
--
-- A hold is in its way: nothing is fetched while the head of the queue waits for its next try (I6).
-- Answers of a fetch, in every op that fetches: {..., againInMs, id, fields, id, fields …}; before them, where an idle worker
-- asks, '1' when its claim rested and was reactivated. In place of againInMs: '-1', not at all; 'limited <ms>', the rate of its type
-- allows no more before; 'recalled', what is fetched is to be given back first; 'more', the jobs are large, and there may be more.

-- What an older version has kept of failed tries may have any size: above this it is not read.
local MAX_KEPT_BYTES, MAX_FETCH_BYTES = 262144, CORE.MAX_FETCH_BYTES

-- How many bytes the fields of a job have, by turns names and values; what is too large of its former tries is left out.
local function weigh(fields)
  local bytes = 0
  for k = 2, #fields, 2 do
    local size = #fields[k]
    if size > MAX_KEPT_BYTES and (fields[k - 1] == 'stacktrace' or fields[k - 1] == 'failedReason') then
      fields[k] = fields[k - 1] == 'stacktrace' and '[]' or ''
      size = 2
    end
    bytes = bytes + size
  end
  return bytes
end

-- Of a fetch that brought no job: {0, 0, ms of rate limit, time of the next delayed job}
local function againIn(r)
  if tonumber(r[3]) > 0 then return string.format('limited %.0f', r[3]) end
  if tonumber(r[4]) > 0 then return string.format('%.0f', math.max(1, math.ceil(tonumber(r[4]) - tonumber(nowMs)))) end
  return '-1'
end

-- Appends up to n jobs to 'out' and writes at out[at] when it makes sense to ask again.
local function take(B, n, opts, out, at)
  out[at] = claimOf(B)[RECALL] and 'recalled' or '-1'
  if n < 1 or claimOf(B)[RECALL] or isPausedByType(B) then return end
  local held = heldForMs(B)
  if held then
    if not isBlocked(held) then out[at] = string.format('%.0f', held) end
    return
  end
  forgetHold(B)
  local limiter = cmsgpack.unpack(opts).limiter
  if limiter then redis.call('HSET', fence(B), 'rateMs', limiter.duration) end
  local keys, args, bytes = keysOf.moveToActive(B), {B .. ':', nowMs, opts}, 0
  for i = 1, n do
    local ok, r = pcall(BULL.moveToActive, keys, args)
    if not ok then
      -- it may have moved a job before: its worker begins anew, which gives everything back in its order (I6)
      mend(B, r)
      error(r, 0)
    end
    if type(r[1]) ~= 'table' then
      out[at] = againIn(r)
      return
    end
    bytes = bytes + weigh(r[1])
    out[#out + 1] = r[2]
    out[#out + 1] = asRun(B, r[2], r[1])
    if bytes >= MAX_FETCH_BYTES and i < n then
      out[at] = 'more'
      return
    end
  end
end

-- take: the owner of an idle worker, or of one that gathers a batch or runs reads, asks for n jobs; it is called for more for that
-- many ms, while fewer than upTo are fetched ('' where nothing is to be told)
function OPS.take(B, T, I, epoch, opts, n, upTo, forMs)
  if not mine(B, epoch) then return {'STALE'} end
  local out = {'OK', reactivate(B, T, I)}
  if upTo ~= '' then gather(B, upTo, forMs) end
  take(B, tonumber(n), opts, out, 3)
  return out
end
