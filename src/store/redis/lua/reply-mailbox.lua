-- Replies to calls that wait for jobs. Each is an entry in the mailbox of the calling pod, a stream
-- `{prefix}:$:pod:<pod>:answers` that its reader empties. It is written in the step that ends the job. So a reader that
-- finds the job ended or gone, and then no unread entry, knows that none will come.
-- Owns: the bounds of a mailbox. Neighbours: `finish.lua` ends jobs, `replies.lua` reads what is left,
-- `replies.ts` reads, `core/model/mailbox.ts` has the numbers.

local function mailbox(podId) return sys .. 'pod:' .. podId .. ':answers' end
-- How long replies wait for a pod that does not read; it may be dead.
local REPLIES_KEPT_MS = 600000

-- Puts an entry into the mailbox of a pod. A full mailbox gets one entry that says so, and then none.
local function post(podId, call, kind, text)
  local box = mailbox(podId)
  local entries = redis.call('XLEN', box)
  -- guards: reply-mailbox.post
  if entries > CORE.MAX_UNREAD then return end
  if entries == CORE.MAX_UNREAD then
    call, kind, text = '', 'overflow', ''
  elseif #text > CORE.SHORT_TEXT and #text * (entries + 1) > CORE.MAX_MAILBOX_BYTES then
    if kind == 'failed' then kind, text = CORE.FAILED_WITHOUT_TEXT else kind, text = CORE.COMPLETED_WITHOUT_TEXT end
  end
  redis.call('XADD', box, '*', 'call', call, 'kind', kind, 'text', text)
  redis.call('PEXPIRE', box, REPLIES_KEPT_MS)
end

-- 'reply': '<pod> <call> <kind> <text>'; without a text it is the result of the job.
local function sendReply(reply, result)
  local podId, call, kind, text = string.match(reply, '^(%S+) (%S+) (%S+) (.*)$')
  post(podId, call, kind, text ~= '' and text or result)
end
