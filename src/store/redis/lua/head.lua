-- The head of the dispatcher: what all its files and BullMQ's bodies use.
-- Owns: the clock of a script, errors of calls, and how BullMQ's bodies unpack. Neighbours: `dispatcher.lua` says in
-- which order files run, `loop.lua` runs the calls.

local pod, leaseUs, sys = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local lockToken = 'aq:' .. pod
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
-- numbers are written with %.0f: Lua's own format of a large one loses digits
local nowMs = string.format('%.0f', math.floor(nowUs / 1000))
local OPS = {}
-- Ops with more arguments than fit on Lua's stack: they get the first and last position of their arguments in ARGV.
local MANY = {}
-- Functions that define the ops of rare files; all of them run once such an op is called.
local RARE = {}

-- Why a call failed.
local function problem(thrown) return type(thrown) == 'table' and thrown.err or tostring(thrown) end

-- The table that a JSON text stands for, or an empty one: a damaged field of a job must not end a step half-way.
-- Redis's JSON library refuses half a surrogate pair.
local function tableOf(json)
  local ok, value = pcall(cjson.decode, json or '{}')
  -- guards: head.tableOf
  if not ok then ok, value = pcall(cjson.decode, (string.gsub(json, '\\u[dD][89a-fA-F]%x%x', '\\ufffd'))) end
  return ok and type(value) == 'table' and value or {}
end

-- Whether the op that runs may have written.
local hasWritten = false
local function write(...)
  hasWritten = true
  return redis.call(...)
end

-- Redis refuses with these before the first write of a script, and never after it.
local REFUSED_FIRST = {OOM = true, MISCONF = true, NOREPLICAS = true, READONLY = true}
-- Redis 6 puts the position in the script before the code.
local function isRefused(thrown)
  local why = string.gsub(problem(thrown), '^.*@user_script: ?%d+: %-', '')
  return REFUSED_FIRST[string.match(why, '^%u+')]
end

-- Returns the result of f; if it throws, a response that says why, and then the reason again.
local function attempt(f, ...)
  local before, why = hasWritten, nil
  hasWritten = false
  -- guards: head.attempt
  local ok, response = pcall(f, ...)
  if not ok then
    why = problem(response)
    response = {err = why, half = hasWritten and not isRefused(why)}
  end
  hasWritten = before or hasWritten
  return response, why
end

-- BullMQ's bodies, each made when it is first called: a batch needs few of them.
local MAKE = {}
local BULL = setmetatable({}, {__index = function(made, name)
  made[name] = MAKE[name]()
  return made[name]
end})

-- BullMQ's bodies see this under the name of Redis's library. They only read what they unpack, so calls share it.
local pack = cmsgpack.pack
local decoded = {}
local cmsgpack = {pack = pack, unpack = function(packed)
  if type(packed) == 'table' then return packed end
  local value = decoded[packed]
  if value == nil then
    value = cjson.decode(packed)
    decoded[packed] = value
  end
  return value
end}
