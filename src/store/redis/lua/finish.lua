-- Ends jobs and fetches the next ones, in one step.
-- Owns: the order of ends, and all that goes with one: the next run of a schedule, the parent, the reply, the dead
-- letter.
-- Neighbours: `end-job.lua` ends, `retry-job.lua` retries, `take.lua` fetches, `resync.lua` ends what a pod does not
-- know to have ended.

-- Whether an end overtakes the end of an older job, which was refused: a crash after it would run the older job later
-- (I6). Active has the newest job first. A job that is not in it overtakes none. Jobs that a plain BullMQ worker holds
-- do not count, nor do the reads 'alongside' a read.
local function overtakes(B, jobId, alongside)
  local active = B .. ':active'
  if redis.call('LINDEX', active, '-1') == jobId then return false end
  local position = redis.call('LPOS', active, jobId)
  if not position then return false end
  for _, id in ipairs(redis.call('LRANGE', active, position + 1, -1)) do
    -- guards: finish.overtakes
    if not (alongside and alongside[id]) and not isForeign(B, id) then return true end
  end
  return false
end

-- The same for jobs that end together: each older job must be one of them.
local function overtakeTogether(B, isEnding)
  local isOlder = false
  for _, id in ipairs(redis.call('LRANGE', B .. ':active', 0, -1)) do
    if isEnding[id] then
      isOlder = true
    elseif isOlder and not isForeign(B, id) then
      return true
    end
  end
  return false
end

-- 'reply' ('': no call waits) is sent when this ends the job finally: once, even if the end is sent again.
local function finishJob(B, jobId, lockMs, status, value, opts, fields, nextRun, parentField, reply, fetch, kept)
  -- guards: finish.finishJob
  local parent = parentField ~= '' and parentOf(B, jobId, parentField) or nil
  if nextRun ~= '' then advance(B, jobId, nextRun) end
  local isFailed = status == 'failed' or status == 'dead'
  if isFailed and redis.call('HEXISTS', B .. ':' .. jobId, 'timestamp') == 0 and redis.call('LPOS', B .. ':active', jobId) then
    Lost.add(B, jobId)
  end
  local r
  if COMES_BACK[status] then
    r = retryJob(B, jobId, lockMs, value, fields, kept)
  elseif status == 'dead' then
    local was = Letters.remains(B, jobId, fields)
    local ok
    ok, r = pcall(endJob, B, jobId, lockMs, 'failed', value, opts, fields, fetch)
    if was then Letters.moveToDeadLetters(B, jobId, was, ok and (type(r) ~= 'number' or r >= 0)) end
    if not ok then error(r, 0) end
  else
    r = endJob(B, jobId, lockMs, status, value, opts, fields, fetch)
  end
  if type(r) == 'number' and (r == -1 or r == -3) then
    -- its hash was deleted, or an operator moved it: leave nothing of it behind
    redis.call('LREM', B .. ':active', 0, jobId)
    redis.call('DEL', B .. ':' .. jobId .. ':lock')
  end
  if reply ~= '' and (type(r) ~= 'number' or r >= 0) then pcall(sendReply, reply, value) end
  tellParent(parent)
  return r
end

-- Ends jobs in one step. Those that end finally go first, in their order: a job that is done must not go back with the
-- others and run again. Then those that keep their place go back to the head, the last one first (I6). Returns BullMQ's
-- codes.
local function finishTogether(B, settled)
  local back, kept, codes = {}, {}, {}
  local function finishAt(s, keptIds)
    local jobId, lockMs, status, value, opts, fields, nextRun, parent, reply = unpack(settled, s, s + END_SIZE - 1)
    -- guards: finish.finishTogether
    local r = finishJob(B, jobId, lockMs, status, value, opts, fields, nextRun, parent, reply, '0', keptIds)
    codes[(s - 1) / END_SIZE + 1] = type(r) == 'number' and r or 0
  end
  for s = 1, #settled, END_SIZE do
    local jobId, status, value = settled[s + END_JOB_ID], settled[s + END_STATUS], settled[s + END_VALUE]
    if COMES_BACK[status] and cjson.decode(value).strict then
      back[#back + 1] = s
      kept[jobId] = true
    else
      finishAt(s)
    end
  end
  for b = #back, 1, -1 do
    finishAt(back[b], kept)
    kept[settled[back[b] + END_JOB_ID]] = nil
  end
  return codes
end

-- Whether Redis has fetched jobs that the owner may not know: the job that ended is not one of them. A failover has forgotten ends, for
-- example. All of them must go back, in their order, before the next job is fetched (I6).
local function hasUnknownJobs(B, code)
  -- guards: finish.hasUnknownJobs
  return (code == -1 or code == -3) and redis.call('EXISTS', B .. ':active') == 1
end

-- Ends one job. One that comes back has {attempt, delayMs, strict, postponed, shared} as JSON for its value, and no
-- opts. Rest: for a read, the ids of the jobs alongside it.
-- Returns {'OK', code, againInMs, jobs…}, code 0 or BullMQ's | {'EARLY'}, an older job has not ended | {'STALE'}
function OPS.finish(B, epoch, n, takeOpts, ordered, jobId, lockMs, status, value, opts, fields, nextRun, parent, reply, ...)
  -- guards: finish.OPS.finish
  if not owns(B, epoch) then return {'STALE'} end
  local kept
  if select('#', ...) > 0 then
    kept = {[jobId] = true}
    for _, id in ipairs({...}) do kept[id] = true end
  end
  if ordered == '1' and overtakes(B, jobId, kept) then return {'EARLY'} end
  n = tonumber(n)
  -- An empty fetch costs BullMQ's body six commands; one command tells that there is nothing to fetch. BullMQ's fetch
  -- knows no hold. The parent of a child may join this queue, at its end, before anything is fetched.
  local fetches = n > 0 and parent == '' and not COMES_BACK[status] and not claimOf(B)[HOLD] and not claimOf(B)[RECALL]
    and not isPausedByType(B)
  if fetches and nextRun == '' and redis.call('EXISTS', B .. ':wait', B .. ':prioritized', B .. ':delayed') == 0 then
    n = 0
    fetches = false
  end
  local r = finishJob(B, jobId, lockMs, status, value, opts, fields, nextRun, parent, reply, fetches and '1' or '0', kept)
  local out = {'OK', 0, '-1'}
  if type(r) == 'table' and type(r[1]) == 'table' then
    weigh(r[1])
    out[4] = r[2]
    out[5] = asRun(B, r[2], r[1])
    take(B, n - 1, takeOpts, out, 3)
  elseif type(r) == 'table' then
    out[3] = againIn(r)
  else
    if r and r < 0 then out[2] = r end
    if r == nil and fetches or hasUnknownJobs(B, r) then
      out[3] = 'recalled'
    elseif not fetches or out[2] < 0 then
      take(B, n, takeOpts, out, 3)
    end
  end
  return out
end

-- Ends jobs that have run as one batch. Rest: END*
-- Returns {'OK', {code…}, againInMs, jobs…} | {'EARLY'} | {'STALE'}
function OPS.finishAll(B, epoch, n, takeOpts, ordered, ...)
  -- guards: finish.OPS.finishAll
  if not owns(B, epoch) then return {'STALE'} end
  local settled, isEnding = {...}, {}
  for s = 1, #settled, END_SIZE do isEnding[settled[s + END_JOB_ID]] = true end
  if ordered == '1' and overtakeTogether(B, isEnding) then return {'EARLY'} end
  local codes = finishTogether(B, settled)
  local out = {'OK', codes, 'recalled'}
  for _, code in ipairs(codes) do
    if hasUnknownJobs(B, code) then return out end
  end
  take(B, tonumber(n), takeOpts, out, 3)
  return out
end
