/**
 * Composes the one script that carries all calls of a tick: BullMQ's own bodies as functions, ours around them, and a
 * loop that runs each call on its own, so that an error is the call's own (race 19).
 *
 * KEYS  shard none (`scriptKeys`)
 * ARGV  podId leaseUs systemPrefix | (op nArgs arg…)*, or no op, which asks whether the server takes writes
 * Returns the answers of all calls in one msgpack text; where a call failed, {err = why, half = whether it may have written} in
 * place of its answer
 *
 * An op that throws says whether it may have written by then: each body of BullMQ, and each write of ours, notes that first.
 *
 * What a body would unpack from msgpack comes as JSON text, decoded once a batch however many calls carry it, or as a
 * table. Neighbours: `hoist.ts` makes the helpers of a body once a batch, `sections.ts` puts our files together, `numbers.ts` spells.
 */
import { answerLua, findLua } from './answer.lua.js';
import { claimLua } from './claim.lua.js';
import { inlineConstants } from './constants.js';
import { controlLua } from './control.lua.js';
import { deadLettersLua, moveToDeadLettersLua } from './dead.lua.js';
import { discoverLua } from './discover.lua.js';
import { dropLua } from './drop.lua.js';
import { finishLua } from './finish.lua.js';
import { flowLua } from './flow.lua.js';
import { hoistDefinitions } from './hoist.js';
import { hostsLua } from './hosts.lua.js';
import { intakeLua } from './intake.lua.js';
import { mendLua } from './mend.lua.js';
import { spellNumbers } from './numbers.js';
import { parentLua } from './parent.lua.js';
import { queueLua } from './queue.lua.js';
import { retentionLua } from './retention.lua.js';
import { advanceLua, scheduleLua } from './schedule.lua.js';
import { composeSections } from './sections.js';
import { spawnLua } from './spawn.lua.js';
import { takeLua } from './take.lua.js';
import { tryClaimLua } from './try-claim.lua.js';

/** Bodies of scripts by name, and the names of the keys that each step gives them, in order. */
export interface BullBodies {
  readonly bodies: Readonly<Record<string, string>>;
  readonly keyNames: Readonly<Record<string, readonly string[]>>;
}

/** Stands for the job's id in a list of key names. */
export const JOB_ID = '<job>';

const HEAD = /* lua */ `
local pod, leaseUs, sys = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local lockToken = 'aq:' .. pod
local t = redis.call('TIME')
local nowUs = t[1] * 1000000 + t[2]
-- numbers are written with %.0f: Lua's own spelling of a large one loses digits
local nowMs = string.format('%.0f', math.floor(nowUs / 1000))
local OPS = {}
-- Ops of more arguments than fit on Lua's stack: they get the positions of their arguments in ARGV, from the first to the last.
local MANY = {}
-- What makes the ops that few batches need; all of them once one is called.
local RARE = {}

-- Why a call failed.
local function problem(thrown) return type(thrown) == 'table' and thrown.err or tostring(thrown) end

-- What JSON text stands for, as a table; an empty one where it stands for none: what a person, or damage, has written into a job must
-- not end a step half-way. Redis's JSON knows no half of a surrogate pair.
local function tableOf(json)
  local ok, value = pcall(cjson.decode, json or '{}')
  if not ok then ok, value = pcall(cjson.decode, (string.gsub(json, '\\\\u[dD][89a-fA-F]%x%x', '\\\\ufffd'))) end
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

-- Answers with what f answers, or, where it throws, with why; then a second time why.
local function attempt(f, ...)
  local before, why = hasWritten, nil
  hasWritten = false
  local ok, answer = pcall(f, ...)
  if not ok then
    why = problem(answer)
    answer = {err = why, half = hasWritten and not isRefused(why)}
  end
  hasWritten = before or hasWritten
  return answer, why
end

-- BullMQ's bodies, each made when it is first called: a batch needs few of them.
local MAKE = {}
local BULL = setmetatable({}, {__index = function(made, name)
  made[name] = MAKE[name]()
  return made[name]
end})

-- What BullMQ's bodies see under this name. They only read what they unpack, so calls share it.
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
`;

const LOOP = /* lua */ `
local function run(at, last)
  if not OPS[ARGV[at]] and not MANY[ARGV[at]] then
    for _, make in ipairs(RARE) do make() end
    RARE = {}
  end
  local many = MANY[ARGV[at]]
  if many then return many(at + 2, last) end
  return OPS[ARGV[at]](unpack(ARGV, at + 2, last))
end
-- Without calls: whether this server executes writes. It writes nothing, and so is not done before writes: Redis looks at its
-- memory only until a script has come to its first write.
if #ARGV == 3 then redis.call('DEL', KEYS[2]) end
local answers, at, call = {}, 4, 0
while at < #ARGV do
  local last = at + 1 + ARGV[at + 1]
  local answer, why = attempt(run, at, last)
  if why then mendAfter(ARGV[at + 2], why) end
  call = call + 1
  answers[call] = answer
  at = last + 1
end
return pack(answers)
`;

export function composeDispatcher({ bodies, keyNames }: BullBodies): string {
  const functions = Object.entries(bodies).map(([name, body]) => {
    const { definitions, rest } = hoistDefinitions(body);
    return `MAKE.${name} = function()\n${definitions}\nreturn function(KEYS, ARGV)\nhasWritten = true\n${rest}\nend\nend\n`;
  });
  const always = [
    queueLua,
    parentLua,
    dropLua,
    claimLua,
    advanceLua,
    mendLua,
    takeLua,
    retentionLua,
    moveToDeadLettersLua,
    answerLua,
    finishLua,
    spawnLua,
    intakeLua,
    tryClaimLua,
  ];
  const rare = [discoverLua, controlLua, flowLua, deadLettersLua, scheduleLua, findLua, hostsLua];
  const sections = notingWrites(inlineConstants([...always, ...rare].join(BETWEEN))).split(BETWEEN);
  const files = { always: sections.slice(0, always.length), rare: sections.slice(always.length) };
  const ours = composeSections(files, LOOP);
  // In a function of their own, so that Lua finds the variables that stand before it without a search.
  return spellNumbers([HEAD, ...functions, keysOf(keyNames), 'return (function()', ours, LOOP, 'end)()'].join('\n'));
}

const BETWEEN = '\n-- next file\n';

/** Commands of ours that only read; whatever is not among them writes. */
const READS = new Set(
  'EXISTS GET HEXISTS HGET HGETALL HKEYS HMGET LINDEX LLEN LPOS LRANGE PTTL SCAN SISMEMBER TYPE XRANGE ZCARD ZRANGE ZRANGEBYSCORE ZREVRANGE ZSCAN ZSCORE'.split(
    ' ',
  ),
);

function notingWrites(lua: string): string {
  return lua.replace(/redis\.call\('(\w+)'/g, (call, command) => (READS.has(command) ? call : `write('${command}'`));
}

/**
 * `keysOf.<step>(B, jobId)`: the keys of a step. Their names are made once a batch and entity; a table constructor is
 * made in one piece, at its full size.
 */
function keysOf(keyNames: BullBodies['keyNames']): string {
  const all = [...new Set(Object.values(keyNames).flat())].filter(name => name !== JOB_ID);
  const steps = Object.entries(keyNames).map(([step, names]) => {
    const keys = names.map(name => (name === JOB_ID ? `B .. ':' .. jobId` : `k[${all.indexOf(name) + 1}]`));
    return `function keysOf.${step}(B, jobId) local k = namesOf(B) return {${keys.join(', ')}} end\n`;
  });
  return /* lua */ `
local named, keysOf = {}, {}
local function namesOf(B)
  local names = named[B]
  if not names then
    names = {${all.map(name => `B .. ':${name}'`).join(', ')}}
    named[B] = names
  end
  return names
end
${steps.join('')}`;
}
