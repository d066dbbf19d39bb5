/**
 * Counts what Lua limits in a script: the local variables that one function has at a time, and the variables of other functions that one
 * function uses (upvalues). Redis refuses a script with more.
 * Neighbours: `sections.mjs` keeps a script below the limits, `../lua.mjs` states the bounds.
 */
import { parse } from 'luaparse';

/** @returns {{ locals: number, upvalues: number }} the most of any function of the script */
export function countLimited(lua) {
  const most = { locals: 0, upvalues: 0 };
  /** A function: its scopes from the outermost, and the names that it takes from the functions around it. */
  const functions = [];

  const declare = names => {
    const { scopes } = functions.at(-1);
    for (const { name } of names) if (name !== undefined) scopes.at(-1).push(name);
    const locals = scopes.reduce((sum, scope) => sum + scope.length, 0);
    most.locals = Math.max(most.locals, locals);
  };
  const use = name => {
    const owner = functions.findLastIndex(({ scopes }) => scopes.some(scope => scope.includes(name)));
    // Functions in between take it along.
    if (owner >= 0) for (const { upvalues } of functions.slice(owner + 1)) upvalues.add(name);
  };
  const inScope = (names, action) => {
    functions.at(-1).scopes.push([]);
    declare(names);
    action();
    functions.at(-1).scopes.pop();
  };
  const inFunction = (parameters, body) => {
    functions.push({ scopes: [[]], upvalues: new Set() });
    declare(parameters);
    visitAll(body);
    most.upvalues = Math.max(most.upvalues, functions.pop().upvalues.size);
  };
  const visitAll = nodes => {
    for (const node of nodes) visit(node);
  };
  const visit = node => {
    if (node === null || typeof node !== 'object') return;
    if (Array.isArray(node)) return visitAll(node);
    const special = VISITS[node.type];
    if (special) return special(node);
    if (node.body) return inScope([], () => visitAll(Object.values(node)));
    visitAll(Object.values(node));
  };
  const VISITS = {
    Identifier: ({ name }) => use(name),
    LocalStatement: ({ variables, init }) => {
      visitAll(init);
      declare(variables);
    },
    MemberExpression: ({ base }) => visit(base),
    TableKeyString: ({ value }) => visit(value),
    FunctionDeclaration: ({ identifier, isLocal, parameters, body }) => {
      if (isLocal) declare([identifier]);
      else visit(identifier);
      inFunction(parameters, body);
    },
    // Lua has three variables of its own in a loop.
    ForNumericStatement: ({ variable, start, end, step, body }) => {
      visitAll([start, end, step]);
      inScope([variable, ...HIDDEN], () => visitAll(body));
    },
    ForGenericStatement: ({ variables, iterators, body }) => {
      visitAll(iterators);
      inScope([...variables, ...HIDDEN], () => visitAll(body));
    },
  };
  inFunction([], parse(lua, { luaVersion: '5.1', comments: false }).body);
  return most;
}

const HIDDEN = [{ name: '(for)' }, { name: '(for)' }, { name: '(for)' }];
