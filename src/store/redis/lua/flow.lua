-- Flows: jobs of several entities of which some, the parents, run after others, their children. All jobs of a flow are
-- added in one step, or none. A parent waits in BullMQ's `waiting-children` meanwhile; its entity has no worker for it.
-- Owns: the intake of flows, and the results of children. Neighbours: `parent.lua` says what the end of a child does,
-- `add-job.lua` and `route.lua` add and route each job.

-- A node of a flow is {parentNumber, at}: where the arguments of its add begin in ARGV.
local function argOf(node, offset) return ARGV[node.at + offset] end

-- The id under which the root was added before: its own id, while that job is there, or that of its idempotency key.
-- Second, whether that is another job, which is no flow.
local function knownRoot(B, kind, id, dedupKey)
  -- guards: flow.knownRoot
  refuseDropping(B, id, dedupKey)
  local known = knownBy(B, dedupKey)
  if not known and redis.call('EXISTS', B .. ':' .. id) == 1 and inSomeState(B, id) then known = id end
  local isOther = known and kind == 'parent' and redis.call('EXISTS', B .. ':' .. known) == 1 and not childrenOf(B .. ':' .. known)
  return known, isOther
end

-- Why the flow can't be added. Nothing has been written by then.
local function obstacle(nodes)
  local room, owners = {}, {}
  for i, node in ipairs(nodes) do
    local B, T, I, id, maxPending = argOf(node, ADD_B), argOf(node, ADD_T), argOf(node, ADD_I), argOf(node, ADD_CUSTOM_ID), argOf(node, ADD_MAX_PENDING)
    local word = T .. ':' .. I
    local whose = sharedWith(B, T, I) or owners[B]
    if whose and whose ~= word then return {'SHARED', i, whose} end
    owners[B] = word
    -- guards: flow.obstacle
    if redis.call('EXISTS', B .. ':' .. id) == 1 and inSomeState(B, id) then return {'TAKEN', i} end
    if maxPending ~= '' then
      room[B] = (room[B] or tonumber(maxPending) - pendingOf(B)) - 1
      if room[B] < 0 then return {'FULL', i} end
    end
  end
end

local function parentInFlow(nodes, node)
  local parent = nodes[node.parentNumber]
  if not parent then return nil end
  -- idof tells BullMQ to wait for the child to end, in any way
  return {
    id = argOf(parent, ADD_CUSTOM_ID), queueKey = argOf(parent, ADD_B), idof = true, of = argOf(parent, ADD_T) .. ':' .. argOf(parent, ADD_I)
  }
end

-- Adds all jobs, parents first. If one fails, all are taken back: returns BullMQ's refusal, or throws its error.
local function addNodes(nodes)
  for i, node in ipairs(nodes) do
    local kind, name, timestamp, data, opts, id, dedupKey = unpack(ARGV, node.at + ADD_KIND, node.at + ADD_DEDUP_KEY)
    local envelope, parent = argOf(node, ADD_ENVELOPE), parentInFlow(nodes, node)
    local ok, r = pcall(addJob, argOf(node, ADD_B), kind, name, timestamp, data, opts, id, dedupKey, envelope, parent)
    if not ok or type(r) == 'number' then
      for k = 1, i - 1 do
        -- guards: flow.addNodes
        undo(argOf(nodes[k], ADD_B), argOf(nodes[k], ADD_CUSTOM_ID))
        local addedKey = argOf(nodes[k], ADD_DEDUP_KEY)
        if addedKey ~= '' then redis.call('DEL', addedKey) end
      end
      hasWritten = false
      if not ok then error(r, 0) end
      return {'REFUSED', i, r}
    end
  end
end

local function routeOne(node)
  local B, T, I, kind, id = argOf(node, ADD_B), argOf(node, ADD_T), argOf(node, ADD_I), argOf(node, ADD_KIND), argOf(node, ADD_CUSTOM_ID)
  local claim = claimOf(B)
  if kind == 'parent' then
    if not claim[OWNER] then keepQueueAlive(B, T, I) end
    return {'PARENT', id}
  end
  return route(B, T, I, id, claim, kind, unpack(ARGV, node.at + ADD_EPOCH, node.at + ADD_MAX_ACTIVE))
end

-- Arguments: FLOW_JOB*. Each job has an id; one with children has the kind 'parent'.
-- Returns {response of an add, or PARENT, …} | {'KNOWN', id of the root}, added before | {'FULL', number} | {'TAKEN',
-- number} | {'SHARED', number, entity} | {'REFUSED', number, BullMQ's code}; the number is that of the job that can't
-- be added
function MANY.addFlow(from, to)
  local nodes = {}
  for p = from, to, FLOW_JOB_SIZE do
    nodes[#nodes + 1] = {parentNumber = tonumber(ARGV[p + FLOW_JOB_PARENT_NUMBER]), at = p + FLOW_JOB_ADD}
  end
  local root = nodes[1]
  local rootKey = argOf(root, ADD_DEDUP_KEY)
  local known, isOther = knownRoot(argOf(root, ADD_B), argOf(root, ADD_KIND), argOf(root, ADD_CUSTOM_ID), rootKey)
  -- guards: flow.MANY.addFlow
  if isOther then return {'TAKEN', 1} end
  if known then return {'KNOWN', known} end
  local refused = obstacle(nodes) or addNodes(nodes)
  if refused then return refused end
  local responses = {}
  for i, node in ipairs(nodes) do
    local ok, response = pcall(routeOne, node)
    responses[i] = ok and response or {'UNKNOWN', argOf(node, ADD_CUSTOM_ID), problem(response)}
  end
  if rootKey ~= '' then extendFence(argOf(root, ADD_B), argOf(root, ADD_OPTS)) end
  return responses
end

-- Rest: keys of children. Returns {'OK', …} with, for each child: '1' and its result, '0' and why it failed, or ''
-- twice if nothing is known of it: it was removed outside this library. A response with many bytes ends before the last
-- child.
function OPS.children(B, epoch, jobId, ...)
  -- guards: flow.OPS.children
  if not owns(B, epoch) then return {'STALE'} end
  local job, out = B .. ':' .. jobId, {'OK'}
  local bytes = 0
  for _, child in ipairs({...}) do
    local value = redis.call('HGET', job .. ':processed', child)
    local text = value or redis.call('HGET', job .. ':failed', child)
    out[#out + 1] = value and '1' or text and '0' or ''
    out[#out + 1] = text or ''
    bytes = bytes + #(text or '')
    if bytes >= MAX_FETCH_BYTES then break end
  end
  return out
end
