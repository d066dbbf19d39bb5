/**
 * Composes the one script that carries all calls of a tick: BullMQ's own bodies, unchanged, as functions; ours around
 * them; and a loop that runs each call on its own, so that an error is the call's own (race 19).
 *
 * KEYS  none
 * ARGV  nCalls podId leaseUs systemPrefix | (op nArgs arg…)*
 * Returns one answer per call; an error in place of an answer where a call failed
 */
import { claimLua } from './claim.lua.js';
import { enterLua } from './enter.lua.js';
import { finishLua } from './finish.lua.js';
import { lookLua } from './look.lua.js';
import { takeLua } from './take.lua.js';

/** Bodies of scripts by name, and the names of the keys that each step gives them, in order. */
export interface BullBodies {
  readonly bodies: Readonly<Record<string, string>>;
  readonly keyNames: Readonly<Record<string, readonly string[]>>;
}

/** Stands for the job's id in a list of key names. */
export const JOB_ID = '<job>';

const HEAD = /* lua */ `
local pod, leaseUs, sys = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local lockToken = 'aq:' .. pod
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
-- numbers are written with %.0f: Lua's own spelling of a large one loses digits
local nowMs = string.format('%.0f', math.floor(nowUs / 1000))
local OPS = {}

local function keysOf(B, names, jobId)
  local keys = {}
  for i, name in ipairs(names) do
    keys[i] = B .. ':' .. (name == '${JOB_ID}' and jobId or name)
  end
  return keys
end
`;

const LOOP = /* lua */ `
local answers, at = {}, 5
for call = 1, tonumber(ARGV[1]) do
  local n = tonumber(ARGV[at + 1])
  local ok, answer = pcall(OPS[ARGV[at]], unpack(ARGV, at + 2, at + 1 + n))
  if not ok then
    local reason = type(answer) == 'table' and answer.err or tostring(answer)
    answer = {err = string.gsub(reason, '[\\r\\n]', ' ')}
  end
  answers[call] = answer
  at = at + 2 + n
end
return answers
`;

export function composeDispatcher(bull: BullBodies): string {
  const bodies = Object.entries(bull.bodies).map(([name, lua]) => `local function ${name}(KEYS, ARGV)\n${lua}\nend\n`);
  const keys = Object.entries(bull.keyNames).map(
    ([name, names]) => `local KEYS_${name} = {${names.map(key => `'${key}'`).join(', ')}}\n`,
  );
  return [...bodies, ...keys, HEAD, claimLua, takeLua, finishLua, enterLua, lookLua, LOOP].join('\n');
}
