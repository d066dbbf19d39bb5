/**
 * The Lua of the Redis store: reads the .lua files, follows their directives, and composes the scripts.
 *
 * A directive is a line `--- include name`: the file's text stands there. `dispatcher.lua` also has `--- bullmq`, the place of BullMQ's
 * bodies, and `--- always name …` and `--- rare name …`, files that `sections.mjs` puts into one function.
 * Neighbours: `../lua.mjs` writes the generated module, `lint.mjs` checks each file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { inlineConstants } from './constants.mjs';
import { composeSections } from './sections.mjs';
import { positionsInLua } from './wire.mjs';

export const FOLDER = 'src/store/redis/lua';

const DIRECTIVE = /^--- (\w+)((?: [\w-]+)*)$/;

/** The texts of all .lua files, by name without the extension, and `wire`: names of positions in the arguments of a call. */
export function readSources(folder = FOLDER) {
  const names = readdirSync(folder).filter(name => name.endsWith('.lua'));
  const texts = names.map(name => [name.slice(0, -4), readFileSync(`${folder}/${name}`, 'utf8')]);
  return new Map([['wire', positionsInLua()], ...texts]);
}

/** @returns {{ kind: string, names: string[] }[]} the directives of a file, in their order. */
export function directivesOf(text) {
  return text.split('\n').flatMap(line => {
    const [, kind, names] = DIRECTIVE.exec(line) ?? [];
    return kind === undefined ? [] : [{ kind, names: names.split(' ').slice(1) }];
  });
}

/**
 * The scripts, without comments. BullMQ's bodies come between the two parts of the dispatcher.
 * @throws Error when a file is missing, included in a circle, or in no script.
 */
export function composeScripts(sources) {
  const used = new Set(['dispatcher', 'renewal']);
  const text = (name, within = []) => {
    const source = sources.get(name);
    if (source === undefined) throw new Error(`${FOLDER}/${name}.lua does not exist; ${within.at(-1)}.lua includes it`);
    if (within.includes(name)) throw new Error(`${[...within, name].join('.lua includes ')}.lua: a circle`);
    used.add(name);
    const lines = source.split('\n').flatMap(line => {
      const [include] = directivesOf(line).filter(({ kind }) => kind === 'include');
      if (include) return include.names.map(included => text(included, [...within, name]));
      return isCode(line) ? [line] : [];
    });
    return lines.join('\n');
  };
  const directives = directivesOf(sources.get('dispatcher') ?? '');
  const bullmq = directives.findIndex(({ kind }) => kind === 'bullmq');
  const of = (kind, from = 0, to = directives.length) =>
    directives
      .slice(from, to)
      .flatMap(one => (one.kind === kind ? [one.names.map(name => text(name, ['dispatcher'])).join('\n')] : []));
  const [always, rare] = [of('always'), of('rare')];
  const sections = notingWrites(inlineConstants([...always, ...rare].join(BETWEEN))).split(BETWEEN);
  const loop = of('include', bullmq).join('\n');
  const ours = composeSections({ always: sections.slice(0, always.length), rare: sections.slice(always.length) }, loop);
  const scripts = {
    HEAD: of('include', 0, bullmq).join('\n'),
    BODY: `${ours}\n${loop}`,
    RENEWAL: text('renewal'),
  };
  const unused = [...sources.keys()].filter(name => !used.has(name));
  if (unused.length > 0) throw new Error(`${unused.map(name => `${name}.lua`).join(', ')}: no script includes it`);
  return scripts;
}

const BETWEEN = '\n-- next file\n';

/** Commands of ours that only read; all others write. */
const READS = new Set(
  'EXISTS GET HEXISTS HGET HGETALL HKEYS HMGET LINDEX LLEN LPOS LRANGE PTTL SCAN SISMEMBER TYPE XRANGE ZCARD ZRANGE ZRANGEBYSCORE ZREVRANGE ZSCAN ZSCORE'.split(
    ' ',
  ),
);

function notingWrites(lua) {
  // guards: sources.notingWrites
  return lua.replace(/redis\.call\('(\w+)'/g, (call, command) => (READS.has(command) ? call : `write('${command}'`));
}

/** Not an empty line, and not a comment: what a script keeps. */
function isCode(line) {
  return line.trim() !== '' && !/^\s*--/.test(line);
}
