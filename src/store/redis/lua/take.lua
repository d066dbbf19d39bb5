-- Fetches jobs: BullMQ's own `moveToActive`, as often as asked for. Nothing is fetched while the head of the queue
-- waits for its next attempt (I6).
--
-- Every op that fetches returns {..., againInMs, id, fields, id, fields …}; before them, for a fetch by an idle worker,
-- '1' if its claim was dormant and was reactivated. In place of againInMs: '-1', not at all; 'limited <ms>', the rate
-- limit of its type allows no job before; 'recalled', fetched jobs must go back first; 'more', the jobs are large, and
-- there may be more.
-- Neighbours: `hold.lua` has holds, `advance-schedule.lua` completes the fields of a run, `read-job.ts` reads what is
-- fetched.

-- What an older version has kept of failed attempts may have any size: above this it is not read.
local MAX_KEPT_BYTES, MAX_FETCH_BYTES = 262144, CORE.MAX_FETCH_BYTES

-- The number of bytes of a job's fields, names and values in turn; former failures that are too large are left out.
local function weigh(fields)
  local bytes = 0
  for k = 2, #fields, 2 do
    local size = #fields[k]
    -- guards: take.weigh
    if size > MAX_KEPT_BYTES and (fields[k - 1] == 'stacktrace' or fields[k - 1] == 'failedReason') then
      fields[k] = fields[k - 1] == 'stacktrace' and '[]' or ''
      size = 2
    end
    bytes = bytes + size
  end
  return bytes
end

-- A fetch that brought no job: {0, 0, ms of rate limit, time of the next delayed job}
local function againIn(r)
  if tonumber(r[3]) > 0 then return string.format('limited %.0f', r[3]) end
  if tonumber(r[4]) > 0 then return string.format('%.0f', math.max(1, math.ceil(tonumber(r[4]) - tonumber(nowMs)))) end
  return '-1'
end

-- Appends up to n jobs to 'out', and writes to out[at] when it makes sense to ask again.
local function take(B, n, opts, out, at)
  -- guards: take.take
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
      -- it may have moved a job before: its worker resyncs, which gives everything back in its order (I6)
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

-- For the owner of an idle worker, or of one that gathers a batch or runs reads: fetches n jobs. For forMs the owner is
-- called for more jobs while fewer than upTo are fetched ('': it is not).
function OPS.take(B, T, I, epoch, takeOpts, n, upTo, forMs)
  -- guards: take.OPS.take
  if not owns(B, epoch) then return {'STALE'} end
  local out = {'OK', reactivate(B, T, I)}
  if upTo ~= '' then gather(B, upTo, forMs) end
  take(B, tonumber(n), takeOpts, out, 3)
  return out
end
