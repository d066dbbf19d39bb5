/**
 * Answers to jobs that somebody waits for: each is an entry in the mailbox of the pod that does, a stream
 * `{prefix}:$:pod:<pod>:answers`, which its reader empties. It is written in the step that ends the job, so whoever finds the
 * job ended, or gone, and no entry that was not read, knows that none will come.
 * Neighbours: `finish.lua.ts` ends jobs; `answers.ts` reads.
 */
export const answerLua = /* lua */ `
local function mailbox(podId) return sys .. 'pod:' .. podId .. ':answers' end
-- What this pod has been told and has not read, by call, as far as this batch has looked.
local unread
-- For that long answers wait for a pod that does not read, and that many; it may be dead.
local ANSWERS_KEPT_MS, MOST_ANSWERS = 600000, 10000

-- 'reply': '<pod> <call> <kind> <text>'; without a text it is the result of the job. An answer that can't be written is no
-- reason to fail the end.
local function answer(reply, result)
  local podId, call, kind, text = string.match(reply, '^(%S+) (%S+) (%S+) (.*)$')
  local box = mailbox(podId)
  unread = nil
  redis.call('XADD', box, 'MAXLEN', '~', MOST_ANSWERS, '*', 'call', call, 'kind', kind, 'text', text ~= '' and text or result)
  redis.call('PEXPIRE', box, ANSWERS_KEPT_MS)
end
`;

export const findLua = /* lua */ `
-- {kind, text} by call; read page by page.
local function unreadAnswers()
  if unread then return unread end
  unread = {}
  local from = '-'
  repeat
    local page = redis.call('XRANGE', mailbox(pod), from, '+', 'COUNT', 100)
    for _, entry in ipairs(page) do
      unread[entry[2][2]] = {entry[2][4], entry[2][6]}
      from = '(' .. entry[1]
    end
  until #page < 100
  return unread
end

-- Whether the answer to a job with that envelope goes to that call of this pod.
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

-- find: (B jobId call)*; returns for each {state, or 'gone' where it has ended, own ('1' | '0'), kind of its answer or '', text, envelope
-- or ''}; kind 'reason': why it failed
function OPS.find(...)
  local asked, out = {...}, {}
  for k = 1, #asked, 3 do
    local B, id, call = asked[k], asked[k + 1], asked[k + 2]
    local added, envelope, result, reason = unpack(redis.call('HMGET', B .. ':' .. id, 'timestamp', 'aq', 'returnvalue', 'failedReason'))
    local state, own, kind, text = added and stateOfJob(B, id) or 'gone', isFor(envelope, call) and '1' or '0', '', ''
    if state == 'completed' then
      state, kind, text = 'gone', 'completed', result or 'null'
    elseif state == 'failed' then
      state, kind, text = 'gone', 'reason', reason or ''
    end
    -- what was told says more than what is kept
    local told = state == 'gone' and unreadAnswers()[call]
    if told then own, kind, text = '1', told[1], told[2] end
    for _, value in ipairs({state, own, kind, text, envelope or ''}) do out[#out + 1] = value end
  end
  return out
end

-- cancel: B T I jobId call; returns {'1'} when the job was removed, {'0'} when it has started, or is another's
function OPS.cancel(B, T, I, id, call)
  local starts, envelope = unpack(redis.call('HMGET', B .. ':' .. id, 'ats', 'aq'))
  if not isFor(envelope, call) or tonumber(starts or '0') > 0 then return {'0'} end
  if removeJob(B, id) ~= 1 then return {'0'} end
  if not isLive(claimOf(B)) then lookNow(B, T, I) end
  return {'1'}
end
`;
