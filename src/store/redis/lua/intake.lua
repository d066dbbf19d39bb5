-- Intake: one job, or many in one step.
-- Owns: the bound of an entity's backlog, and the response to an enqueue. Neighbours: `add-job.lua` adds, `route.lua`
-- routes, `flow.lua` has the intake of flows.

-- How many jobs have not ended, without the one that each schedule has at any time.
local function pendingOf(B)
  -- guards: intake.pendingOf
  local notEnded = backlogOf(B) + redis.call('ZCARD', B .. ':delayed') + redis.call('ZCARD', B .. ':waiting-children')
  return notEnded - redis.call('ZCARD', B .. ':repeat')
end

-- Whether an add brings a job: one with a known id or key adds nothing.
local function isNew(B, customId, dedupKey)
  local isKnown = customId ~= '' and redis.call('EXISTS', B .. ':' .. customId) == 1
  if isKnown and not wasDropped(B, customId) then return false end
  return not knownBy(B, dedupKey)
end

-- Returns {route, jobId, …}: LOCAL {reactivated, againInMs, jobs…} | CLAIMED {token, recovered, foreign, againInMs,
-- jobs…} | UNKNOWN {why, if routing failed} | REMOTE | UNOWNED | DELAYED | REFUSED (jobId is BullMQ's code) | SHARED
-- (jobId is the entity that has the queue) | FULL
function OPS.add(B, T, I, kind, name, timestamp, data, opts, customId, dedupKey, maxPending,
    epoch, mayClaim, takeOpts, maxStalled, handlers, maxActive, envelope)
  local claim, whose = claimOf(B), sharedWith(B, T, I)
  if whose then return {'SHARED', whose} end
  -- guards: intake.OPS.add
  refuseDropping(B, customId, dedupKey)
  if maxPending ~= '' and pendingOf(B) >= tonumber(maxPending) and isNew(B, customId, dedupKey) then return {'FULL'} end
  local id = addJob(B, kind, name, timestamp, data, opts, customId, dedupKey, envelope)
  if type(id) == 'number' then return {'REFUSED', id} end
  -- The job is added by now: an error from here on must not say otherwise.
  local ok, response = pcall(route, B, T, I, id, claim, kind, epoch, mayClaim, takeOpts, maxStalled, handlers, maxActive)
  if ok and dedupKey ~= '' then extendFence(B, opts) end
  if ok then return response end
  return {'UNKNOWN', id, problem(response)}
end

-- Arguments: ADD*. Returns {response, response …}, or {'FULL', number of the job that has no room} when nothing was
-- added.
function MANY.addAll(from, to)
  local room, seen, responses, i = {}, {}, {}, 0
  for p = from, to, ADD_SIZE do
    i = i + 1
    local B, maxPending = ARGV[p + ADD_B], ARGV[p + ADD_MAX_PENDING]
    local customId, dedupKey = ARGV[p + ADD_CUSTOM_ID], ARGV[p + ADD_DEDUP_KEY]
    local hash = B .. ':' .. customId
    local isKnown = (customId ~= '' and seen[hash]) or (dedupKey ~= '' and seen[dedupKey])
    seen[hash], seen[dedupKey] = true, true
    if maxPending ~= '' then
      -- guards: intake.MANY.addAll
      refuseDropping(B, customId, dedupKey)
      if not isKnown and isNew(B, customId, dedupKey) then
        room[B] = (room[B] or tonumber(maxPending) - pendingOf(B)) - 1
        if room[B] < 0 then return {'FULL', i} end
      end
    end
  end
  for p = from, to, ADD_SIZE do responses[#responses + 1] = attempt(OPS.add, unpack(ARGV, p, p + ADD_SIZE - 1)) end
  return responses
end
