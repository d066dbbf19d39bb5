-- Replies that a calling pod asks for: those it has not read, and those of jobs that may have ended meanwhile. A call
-- is cancelled here, too.
-- Neighbours: `reply-mailbox.lua` writes replies, `replies.ts` asks.

-- Sends a reply to a call of a pod. Returns {}
function OPS.tell(podId, call, replyKind, text)
  post(podId, call, replyKind, text)
  return {}
end

-- Rest: ids of entries that were read, which are deleted. Returns a page of what is left: {id, call, kind, text …}
local MAX_PAGE_ENTRIES, MAX_PAGE_BYTES = 100, 262144
function OPS.unread(...)
  local box, out, entries, bytes, from = mailbox(pod), {}, 0, 0, '-'
  if select('#', ...) > 0 then redis.call('XDEL', box, ...) end
  repeat
    local page = redis.call('XRANGE', box, from, '+', 'COUNT', 10)
    for _, entry in ipairs(page) do
      local fields = entry[2]
      local text = fields[6] or ''
      for _, value in ipairs({entry[1], fields[2] or '', fields[4] or '', text}) do out[#out + 1] = value end
      entries, bytes, from = entries + 1, bytes + #text, '(' .. entry[1]
    end
  until #page < 10 or entries >= MAX_PAGE_ENTRIES or bytes >= MAX_PAGE_BYTES
  return out
end

-- Whether the reply to a job with that envelope goes to that call of this pod.
local function isFor(envelope, call)
  local ok, sealed = pcall(cjson.decode, envelope or '')
  local reply = ok and type(sealed) == 'table' and sealed.reply
  return type(reply) == 'table' and reply[1] == pod and reply[2] == call
end

local function stateOfJob(B, id)
  if redis.call('LPOS', B .. ':active', id) then return 'active' end
  for _, state in ipairs({'delayed', 'waiting-children', 'completed', 'failed'}) do
    if redis.call('ZSCORE', B .. ':' .. state, id) then return state end
  end
  return blockerOf(B) == id and 'blocked' or 'waiting'
end

-- Rest: ASKED_JOB*. Returns for each {state, or 'gone' if it has ended, own ('1' | '0'), kind of its reply if that
-- is kept, or '', text, envelope or ''}; kind 'reason': why it failed
function OPS.find(...)
  local asked, out = {...}, {}
  for k = 1, #asked, ASKED_JOB_SIZE do
    local B, id, call = unpack(asked, k, k + ASKED_JOB_SIZE - 1)
    local added, envelope, result, reason = unpack(fieldsOf(B .. ':' .. id, {'timestamp', 'aq', 'returnvalue', 'failedReason'}))
    local state, own, kind, text = added and stateOfJob(B, id) or 'gone', isFor(envelope, call) and '1' or '0', '', ''
    if state == 'completed' then
      state, kind, text = 'gone', 'completed', result or 'null'
    elseif state == 'failed' then
      state, kind, text = 'gone', 'reason', reason or ''
    end
    for _, value in ipairs({state, own, kind, text, envelope or ''}) do out[#out + 1] = value end
  end
  return out
end

-- Returns {'1'} if the job was removed, {'0'} if it has started, or belongs to another call
function OPS.cancel(B, T, I, jobId, call)
  local starts, envelope = unpack(redis.call('HMGET', B .. ':' .. jobId, 'ats', 'aq'))
  -- guards: replies.OPS.cancel
  if not isFor(envelope, call) or (tonumber(starts or '0') or 1) > 0 then return {'0'} end
  if removeJob(B, jobId) ~= 1 then return {'0'} end
  if not isLive(claimOf(B)) then inspectNow(B, T, I) end
  return {'1'}
end
