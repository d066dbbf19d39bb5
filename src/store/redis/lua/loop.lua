-- The end of the dispatcher: runs the calls of a batch, each on its own.
-- Neighbours: `head.lua` has `attempt`, `mend.lua` mends after a call that failed.

local function run(at, last)
  if not OPS[ARGV[at]] and not MANY[ARGV[at]] then
    for _, make in ipairs(RARE) do make() end
    RARE = {}
  end
  local many = MANY[ARGV[at]]
  if many then return many(at + 2, last) end
  return OPS[ARGV[at]](unpack(ARGV, at + 2, last))
end
-- Without calls: whether this server executes writes. This writes nothing, and is not done before writes: Redis looks
-- at its memory only until the first write of a script.
-- guards: loop.run
if #ARGV == 3 then redis.call('DEL', KEYS[2]) end
local responses, at, call = {}, 4, 0
while at < #ARGV do
  local last = at + 1 + ARGV[at + 1]
  local response, why = attempt(run, at, last)
  if why then mendAfter(ARGV[at + 2], why) end
  call = call + 1
  responses[call] = response
  at = last + 1
end
return pack(responses)
