/**
 * Puts each file of our Lua into a function of its own. What other files use of it is declared before that function; all else is
 * local to it, so the 200 local variables that Lua allows one function are for what files share. It also makes a call cheaper: a
 * function that is made in another one takes the variables of the outermost from there, and need not search them.
 * Neighbours: `constants.ts` writes constants where their names stand; `dispatcher.ts` composes.
 */

/** A definition at the beginning of a line: `local function name`, `local name`, or `local one, two = …`. */
const DEFINITION = /^local (?:function (\w+)|([\w, ]+?)(?=(\s*=)|$))/gm;

/** `rest` is what follows the sections, and may use what they share. */
export function composeSections(sections: readonly string[], rest: string): string {
  const words = [...sections, rest].map(lua => new Set(lua.match(/\w+/g)));
  return sections
    .map((section, at) => compose(section, name => words.some((used, other) => other !== at && used.has(name))))
    .join('\n');
}

function compose(section: string, isUsed: (name: string) => boolean): string {
  const shared: string[] = [];
  const body = section.replace(DEFINITION, (whole, func: string | undefined, list = func ?? '', isGiven?: string) => {
    const names = list.split(', ');
    if (!names.some(isUsed)) return whole;
    shared.push(...names);
    if (func) return `function ${func}`;
    return isGiven ? list : '';
  });
  const declared = shared.length > 0 ? `local ${[...new Set(shared)].join(', ')}\n` : '';
  return `${declared}${BEGIN}\n${body}\n${END}`;
}

const BEGIN = 'do local function section()';
const END = 'end section() end';

/** How many local variables the main function of a script has; Lua takes 200. */
export function countLocals(lua: string): number {
  const main = lua.split(`${BEGIN}\n`).map((part, at) => (at === 0 ? part : part.slice(part.indexOf(`\n${END}`))));
  const names = [...main.join('').matchAll(DEFINITION)];
  return names.reduce((sum, [, , list]) => sum + (list?.split(',').length ?? 1), 0);
}
