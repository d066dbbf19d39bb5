-- The search for jobs added outside this library. A queue with work, without an owner and without an inspection soon is
-- entered into the inspection schedule (race 10). A queue with work has a `meta` key; its fence, or its own name, says
-- which entity it belongs to.
-- Neighbours: `due.lua` has the inspection schedule, `claim-record.lua` reads fences.

local function isForgotten(B, T, I)
  local claim = claimOf(B)
  -- the owner of a dormant claim does not look at its queue soon
  -- guards: discover.isForgotten
  if isLive(claim) then return claim[DORMANT] and hasWork(B) end
  if not hasWork(B) or isParked(B) then return false end
  -- An entity that is inspected later only, as for a delayed job, is not known to have work now.
  local score = redis.call('ZSCORE', sys .. 'due:' .. T, I)
  if score and heldForLongMs(B) then return false end
  return not score or tonumber(score) > nowUs + 1000 * CORE.SCHEDULED_SOON_MS
end

-- cursor: '' to begin; rest: the types that this pod hosts
-- Returns {next cursor, '' when the search is over or another pod has begun one, how many were found}
function OPS.discover(cursor, intervalMs, count, match, ...)
  if cursor == '' then
    if not redis.call('SET', sys .. 'discovery', pod, 'NX', 'PX', intervalMs) then return {'', 0} end
    cursor = '0'
  else
    -- the interval begins when the search is over
    redis.call('PEXPIRE', sys .. 'discovery', intervalMs)
  end
  local hosted, found = {}, 0
  for _, T in ipairs({...}) do hosted[T] = true end
  local page = redis.call('SCAN', cursor, 'MATCH', match, 'COUNT', count)
  for _, key in ipairs(page[2]) do
    local B = string.sub(key, 1, -6)
    local T, I = entityOf(B)
    if T and hosted[T] and isForgotten(B, T, I) then
      if isLive(claimOf(B)) then callOwner(B, T, I) else inspectBy(T, I, nowUs) end
      found = found + 1
    end
  end
  return {page[1] == '0' and '' or page[1], found}
end
