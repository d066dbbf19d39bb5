/**
 * Composes the script that carries all calls of a tick: BullMQ's bodies as functions between the two parts of ours.
 * `dispatcher.lua` says how it is called, and what it returns.
 *
 * What a body would unpack from msgpack comes as JSON text, decoded once a batch however many calls carry it, or as a table.
 * Neighbours: `scripts/lua.mjs` makes `generated.ts` of the .lua files; `hoist.ts` makes the helpers of a body once a batch;
 * `numbers.ts` spells numbers.
 */
import { BODY, HEAD } from './generated.js';
import { hoistDefinitions } from './hoist.js';
import { spellNumbers } from './numbers.js';

/** Bodies of scripts by name, and the names of the keys that each step gives them, in order. */
export interface BullBodies {
  readonly bodies: Readonly<Record<string, string>>;
  readonly keyNames: Readonly<Record<string, readonly string[]>>;
}

/** Stands for the job's id in a list of key names. */
export const JOB_ID = '<job>';

export function composeDispatcher({ bodies, keyNames }: BullBodies): string {
  const functions = Object.entries(bodies).map(([name, body]) => {
    const { definitions, rest } = hoistDefinitions(body);
    // guards: compose.composeDispatcher
    return `MAKE.${name} = function()\n${definitions}\nreturn function(KEYS, ARGV)\nhasWritten = true\n${rest}\nend\nend\n`;
  });
  // In a function of their own, so that Lua finds the variables that stand before it without a search.
  return spellNumbers([HEAD, ...functions, keysOf(keyNames), 'return (function()', BODY, 'end)()'].join('\n'));
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
