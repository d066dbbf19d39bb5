-- What pods say of the types that they work: `{prefix}:$:hosts:` by name of the type, texts by the time (µs) until which they
-- hold. Pods of one version say the same text, so a type with many pods has a few, too. Hints, as `pods:{type}` is.

local function hostsKey(T) return sys .. 'hosts:' .. T end

-- announce: forMs most (T text)*
-- Returns for each type its texts, the latest first
function OPS.announce(forMs, most, ...)
  local said, out = {...}, {}
  for k = 1, #said, 2 do
    local key = hostsKey(said[k])
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs))
    redis.call('ZADD', key, string.format('%.0f', nowUs + forMs * 1000), said[k + 1])
    redis.call('PEXPIRE', key, forMs)
    out[#out + 1] = redis.call('ZREVRANGE', key, 0, most - 1)
  end
  return out
end

-- withdraw: (T text)*
function OPS.withdraw(...)
  local said = {...}
  for k = 1, #said, 2 do redis.call('ZREM', hostsKey(said[k]), said[k + 1]) end
  return {'OK'}
end

-- areHosted: T*
-- Returns 1 for each type that a live pod works, 0 for each other. One that takes more entities is in 'pods', and renews that
-- every third of a lease.
function OPS.areHosted(...)
  local out = {}
  for k, T in ipairs({...}) do
    local said = redis.call('ZRANGEBYSCORE', hostsKey(T), string.format('%.0f', nowUs), '+inf', 'LIMIT', 0, 1)
    local pods = redis.call('ZRANGEBYSCORE', sys .. 'pods:' .. T, string.format('%.0f', nowUs - leaseUs), '+inf', 'LIMIT', 0, 1)
    out[k] = #said + #pods > 0 and 1 or 0
  end
  return out
end
