-- What a running handler writes to its own job: progress, data, logs (race 18).
-- Neighbours: `bullmq/native-job.ts` calls this, `claim-record.lua` guards.

-- BullMQ has no body for this one.
local function clearLogs(KEYS, ARGV)
  if ARGV[1] == '0' then return redis.call('DEL', KEYS[1]) end
  redis.call('LTRIM', KEYS[1], -tonumber(ARGV[1]), -1)
  return 0
end

function OPS.touch(B, epoch, body, nKeys, ...)
  -- guards: touch.OPS.touch
  if not owns(B, epoch) then return {'STALE'} end
  local all, keys, args = {...}, {}, {}
  for i, value in ipairs(all) do
    if i <= tonumber(nKeys) then keys[#keys + 1] = value else args[#args + 1] = value end
  end
  return {'OK', (body == 'clearLogs' and clearLogs or BULL[body])(keys, args)}
end
