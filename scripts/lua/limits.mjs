/**
 * Counts what Lua limits in a script: the local variables that one function has at a time, and the variables of other functions that one
 * function uses (upvalues). Redis refuses a script with more.
 * Neighbours: `scopes.mjs` walks through it, `sections.mjs` keeps a script below the limits, `../lua.mjs` states the bounds.
 */
import { walkScopes } from './scopes.mjs';

/** Lua has as many variables of its own in each loop. */
const HIDDEN_IN_LOOP = 3;

/** @returns {{ locals: number, upvalues: number }} the most of any function of the script */
export function countLimited(lua) {
  const most = { locals: 0, upvalues: 0 };
  /** A function: its scopes from the outermost, and the names that it takes from the functions around it. */
  const functions = [{ scopes: [[]], upvalues: new Set() }];
  walkScopes(lua, {
    declare: ({ name }, kind) => {
      const { scopes } = functions.at(-1);
      const scope = scopes.at(-1);
      if (kind === 'loop' && scope.length === 0) scope.push(...Array(HIDDEN_IN_LOOP).fill('(for)'));
      scope.push(name);
      const locals = scopes.reduce((sum, one) => sum + one.length, 0);
      most.locals = Math.max(most.locals, locals);
    },
    use: ({ name }) => {
      const owner = functions.findLastIndex(({ scopes }) => scopes.some(scope => scope.includes(name)));
      // Functions in between take it along.
      if (owner >= 0) for (const { upvalues } of functions.slice(owner + 1)) upvalues.add(name);
    },
    enter: isFunction => {
      if (isFunction) functions.push({ scopes: [[]], upvalues: new Set() });
      else functions.at(-1).scopes.push([]);
    },
    leave: isFunction => {
      if (isFunction) most.upvalues = Math.max(most.upvalues, functions.pop().upvalues.size);
      else functions.at(-1).scopes.pop();
    },
  });
  return most;
}
