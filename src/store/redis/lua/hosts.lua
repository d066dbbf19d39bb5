-- What pods say about the types they host: `{prefix}:$:hosts:<type>` has texts by the time, in us, until which they
-- hold. Pods of one version say the same text, so a type with many pods has few texts. They are hints, like the set
-- `pods:<type>`.
-- Neighbour: `hosts.ts` writes and reads the texts.

local function hostsKey(T) return sys .. 'hosts:' .. T end

-- Rest: HOSTED_TYPE*. Returns for each type its texts, the latest first
function OPS.announce(lifeMs, most, ...)
  local said, out = {...}, {}
  for k = 1, #said, HOSTED_TYPE_SIZE do
    local key = hostsKey(said[k + HOSTED_TYPE_T])
    -- guards: hosts.OPS.announce
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs))
    redis.call('ZADD', key, string.format('%.0f', nowUs + lifeMs * 1000), said[k + HOSTED_TYPE_TEXT])
    redis.call('PEXPIRE', key, lifeMs)
    out[#out + 1] = redis.call('ZREVRANGE', key, 0, most - 1)
  end
  return out
end

-- Rest: HOSTED_TYPE*
function OPS.withdraw(...)
  local said = {...}
  for k = 1, #said, HOSTED_TYPE_SIZE do redis.call('ZREM', hostsKey(said[k + HOSTED_TYPE_T]), said[k + HOSTED_TYPE_TEXT]) end
  return {'OK'}
end

-- Rest: T*. Returns 1 for each type that a live pod hosts, 0 for each other. A pod that takes more entities is in the
-- set `pods`, and renews that every third of a lease.
function OPS.areHosted(...)
  local out = {}
  for k, T in ipairs({...}) do
    local said = redis.call('ZRANGEBYSCORE', hostsKey(T), string.format('%.0f', nowUs), '+inf', 'LIMIT', 0, 1)
    local pods = redis.call('ZRANGEBYSCORE', sys .. 'pods:' .. T, string.format('%.0f', nowUs - leaseUs), '+inf', 'LIMIT', 0, 1)
    -- guards: hosts.OPS.areHosted
    out[k] = #said + #pods > 0 and 1 or 0
  end
  return out
end
