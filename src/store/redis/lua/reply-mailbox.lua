-- Answers to jobs that somebody waits for: each is an entry in the mailbox of the pod that does, a stream
-- `{prefix}:$:pod:<pod>:answers`, which its reader empties. It is written in the step that ends the job, so whoever finds the
-- job ended, or gone, and then no entry that was not read, knows that none will come.
-- Neighbours: `finish.lua` ends jobs; `replies.ts` reads; `core/model/mailbox.ts` has the bounds.

local function mailbox(podId) return sys .. 'pod:' .. podId .. ':answers' end
-- For that long answers wait for a pod that does not read; it may be dead.
local ANSWERS_KEPT_MS = 600000

-- Puts what is for a call of a pod into its mailbox. Of one that is full only that is said, and then nothing.
local function post(podId, call, kind, text)
  local box = mailbox(podId)
  local entries = redis.call('XLEN', box)
  if entries > CORE.MAX_UNREAD then return end
  if entries == CORE.MAX_UNREAD then
    call, kind, text = '', 'overflow', ''
  elseif #text > CORE.SHORT_TEXT and #text * (entries + 1) > CORE.MAX_MAILBOX_BYTES then
    if kind == 'failed' then kind, text = CORE.FAILED_WITHOUT_TEXT else kind, text = CORE.COMPLETED_WITHOUT_TEXT end
  end
  redis.call('XADD', box, '*', 'call', call, 'kind', kind, 'text', text)
  redis.call('PEXPIRE', box, ANSWERS_KEPT_MS)
end

-- 'reply': '<pod> <call> <kind> <text>'; without a text it is the result of the job. An answer that can't be written is no
-- reason to fail the end.
local function answer(reply, result)
  local podId, call, kind, text = string.match(reply, '^(%S+) (%S+) (%S+) (.*)$')
  post(podId, call, kind, text ~= '' and text or result)
end
