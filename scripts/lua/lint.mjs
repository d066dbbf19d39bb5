/**
 * Checks the .lua files: names that nothing defines, or that only a later file of the script defines; locals that nothing uses; names
 * that hide another of the same function or file; ops whose parameters are not those of `wire.mjs`. Redis finds the first kind only
 * when the line runs, and the last never.
 * Neighbours: `scopes.mjs` walks through a file, `sources.mjs` says in which order files stand in a script, `wire.mjs` what an op takes.
 */
import { parse } from 'luaparse';
import { walkScopes } from './scopes.mjs';
import { directivesOf } from './sources.mjs';
import { parametersOf } from './wire.mjs';

const PROVIDED = new Set(
  `KEYS ARGV redis cjson cmsgpack bit struct string table math
   assert error getmetatable ipairs next pairs pcall rawequal rawget rawset select setmetatable tonumber tostring type unpack
   CORE keysOf`.split(/\s+/),
);

/** @returns {string[]} the faults, each with its file and line. */
export function lint(sources) {
  const files = new Map([...sources].map(([name, text]) => [name, readNames(name, text)]));
  const faults = [...files.values()].flatMap(file => file.faults);
  const used = new Set();
  for (const root of ['dispatcher', 'renewal']) {
    const defined = new Set();
    for (const { name, includer } of orderOf(root, sources)) {
      const file = files.get(name);
      for (const shared of files.get(includer)?.shared.keys() ?? []) defined.add(shared);
      for (const [free, line] of file.free) {
        used.add(free);
        if (!PROVIDED.has(free) && !defined.has(free))
          faults.push(
            `${name}.lua:${line}: "${free}" is not defined by this file, nor by one before it in ${root}.lua`,
          );
      }
      for (const shared of file.shared.keys()) defined.add(shared);
    }
  }
  faults.push(...sharedTwice(files, sources));
  faults.push(...opFaults([...files.values()].flatMap(({ ops }) => ops)));
  for (const [name, { shared, ownUses }] of files) {
    // Which positions are needed is nothing that the table could know.
    if (name === 'wire') continue;
    for (const [local, line] of shared) {
      if (!used.has(local) && !ownUses.has(local)) faults.push(`${name}.lua:${line}: "${local}" is not used`);
    }
  }
  return [...new Set(faults)];
}

/** Why a text is no Lua, or nothing if it is. */
export function syntaxFaultOf(lua) {
  try {
    parse(lua, { luaVersion: '5.1' });
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Files of one function share their names: the second of two would hide the first. */
function sharedTwice(files, sources) {
  return directivesOf(sources.get('dispatcher') ?? '').flatMap(({ names }) => {
    const owner = new Map();
    return names.flatMap(name =>
      [...(files.get(name)?.shared ?? [])].flatMap(([local, line]) => {
        const first = owner.get(local);
        owner.set(local, name);
        return first === undefined
          ? []
          : [`${name}.lua:${line}: "${local}" is a name of ${first}.lua, too, in one function`];
      }),
    );
  });
}

/** An op of `MANY` gets the range of its arguments. */
const RANGE = ['from', 'to'];

function opFaults(ops) {
  const wire = parametersOf();
  const faults = ops.flatMap(({ place, table, op, parameters }) => {
    const told = wire.get(op);
    if (told === undefined) return [`${place}: wire.mjs has no call "${op}"`];
    const expected = (table === 'MANY' ? RANGE : told).join(', ');
    return parameters.join(', ') === expected
      ? []
      : [`${place}: "${op}" must have the parameters of wire.mjs: ${expected}`];
  });
  const made = new Set(ops.map(({ op }) => op));
  return [
    ...faults,
    ...[...wire.keys()].filter(op => !made.has(op)).map(op => `wire.mjs: no Lua file has the op "${op}"`),
  ];
}

/** The files of a script in the order of their code. A file that is included stands within its includer, and may use its names. */
function orderOf(name, sources, includer) {
  const included = directivesOf(sources.get(name) ?? '').flatMap(({ names }) => names);
  return [...included.flatMap(one => orderOf(one, sources, name)), { name, includer }];
}

/** A file's own definitions at its margin, the names that it takes from others, and its faults. */
function readNames(file, text) {
  const faults = [];
  const free = new Map();
  const shared = new Map();
  const ownUses = new Set();
  const ops = [];
  const scopes = [shared];
  const unused = new Map();

  const told = {
    declare: ({ name, loc }, kind) => {
      const { line } = loc.start;
      if (scopes.length > 1) {
        const isHiding = name !== '_' && scopes.some(scope => scope.has(name));
        if (isHiding) faults.push(`${file}.lua:${line}: "${name}" hides another "${name}"`);
        if (kind === 'local' && !name.startsWith('_')) unused.set(`${line} ${name}`, name);
      }
      scopes.at(-1).set(name, line);
    },
    use: ({ name, loc }, isRead) => {
      const scope = scopes.findLast(one => one.has(name));
      if (scope === undefined) {
        if (!free.has(name)) free.set(name, loc.start.line);
      } else if (isRead) {
        if (scope === shared) ownUses.add(name);
        unused.delete(`${scope.get(name)} ${name}`);
      }
    },
    enter: () => scopes.push(new Map()),
    leave: () => scopes.pop(),
    method: ({ base, identifier, loc }, parameters) => {
      if (base?.name !== 'OPS' && base?.name !== 'MANY') return;
      const names = parameters.map(one => (one.type === 'VarargLiteral' ? '...' : one.name));
      ops.push({ place: `${file}.lua:${loc.start.line}`, table: base.name, op: identifier.name, parameters: names });
    },
  };
  try {
    walkScopes(text, told);
  } catch (error) {
    faults.push(`${file}.lua: ${error.message}`);
  }
  for (const [place, name] of unused) faults.push(`${file}.lua:${place.split(' ')[0]}: "${name}" is not used`);
  return { faults, free, shared, ownUses, ops };
}
