/**
 * Walks through a Lua text as Lua itself would: the names it declares, reads and writes, and the begin and end of each scope.
 * Neighbours: `lint.mjs` finds faults in that, `limits.mjs` counts.
 */
import { parse } from 'luaparse';

/**
 * @param {string} lua
 * @param {{
 *   declare(identifier: object, kind: 'local' | 'parameter' | 'loop'): void,
 *   use(identifier: object, isRead: boolean): void,
 *   enter(isFunction: boolean): void,
 *   leave(isFunction: boolean): void,
 *   method?(name: object, parameters: object[]): void,
 * }} told `method` hears of a function that is put into a table.
 * @throws SyntaxError
 */
export function walkScopes(lua, told) {
  const inScope = (action, isFunction = false) => {
    told.enter(isFunction);
    action();
    told.leave(isFunction);
  };
  const visitAll = nodes => {
    for (const node of nodes) visit(node);
  };
  const visit = node => {
    if (node === null || typeof node !== 'object') return;
    if (Array.isArray(node)) return visitAll(node);
    const special = VISITS[node.type];
    if (special) return special(node);
    const { loc, ...parts } = node;
    if (node.body) return inScope(() => visitAll(Object.values(parts)));
    visitAll(Object.values(parts));
  };
  const write = target => {
    if (target.type === 'Identifier') told.use(target, false);
    else visit(target);
  };
  const loop = (variables, body) =>
    inScope(() => {
      for (const variable of variables) told.declare(variable, 'loop');
      visitAll(body);
    });
  const VISITS = {
    Identifier: node => told.use(node, true),
    LocalStatement: ({ variables, init }) => {
      visitAll(init);
      for (const variable of variables) told.declare(variable, 'local');
    },
    AssignmentStatement: ({ variables, init }) => {
      visitAll(init);
      for (const variable of variables) write(variable);
    },
    MemberExpression: ({ base }) => visit(base),
    TableKeyString: ({ value }) => visit(value),
    FunctionDeclaration: ({ identifier, isLocal, parameters, body }) => {
      if (isLocal) told.declare(identifier, 'local');
      else if (identifier) {
        write(identifier);
        told.method?.(identifier, parameters);
      }
      inScope(() => {
        for (const parameter of parameters) if (parameter.type === 'Identifier') told.declare(parameter, 'parameter');
        visitAll(body);
      }, true);
    },
    // Its condition sees the locals of its body.
    RepeatStatement: ({ body, condition }) => inScope(() => visitAll([...body, condition])),
    ForNumericStatement: ({ variable, start, end, step, body }) => {
      visitAll([start, end, step]);
      loop([variable], body);
    },
    ForGenericStatement: ({ variables, iterators, body }) => {
      visitAll(iterators);
      loop(variables, body);
    },
  };
  visitAll(parse(lua, { luaVersion: '5.1', locations: true, comments: false }).body);
}
