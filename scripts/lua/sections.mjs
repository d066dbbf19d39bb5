/**
 * Puts each file of our Lua into a function of its own. What other files use of it is declared before that function; all else is
 * local to it, so that the 200 local variables that Lua allows one function are for what files share. It also makes a call cheaper: a
 * function that is made in another one takes the variables of the outermost from there, and need not search them.
 * Neighbours: `constants.mjs` writes constants where their names stand; `sources.mjs` says which files there are.
 */

/** A definition at the margin: `local function name`, `local name`, or `local one, two = …`. */
const DEFINITION = /^local (?:function (\w+)|([\w, ]+?)(?=(\s*=)|$))/gm;

/** The functions that sections become: run at once, or put into the table `RARE`. */
const ALWAYS = { begin: 'do local function section()', end: 'end section() end' };
const RARE = { begin: 'RARE[#RARE + 1] = function()', end: 'end -- of a rare section' };

/**
 * @param {{ always: readonly string[], rare: readonly string[] }} sections
 * @param {string} rest what follows the sections, and may use what they share.
 * @throws Error if a section that always runs uses what a rare one defines, by its own name or by one that is declared before.
 */
export function composeSections({ always, rare }, rest) {
  const sections = [...always, ...rare];
  checkRare(rare);
  const words = [...sections, rest].map(lua => new Set(lua.match(/\w+/g)));
  return sections
    .map((section, at) => {
      const isRare = at >= always.length;
      const isUsed = name => {
        const users = words.flatMap((used, other) => (other !== at && used.has(name) ? [other] : []));
        if (isRare && users.some(other => other < always.length || other === sections.length))
          throw new Error(`"${name}" is of a rare file, and a file that always runs uses it`);
        return users.length > 0;
      };
      return compose(section, isUsed, isRare ? RARE : ALWAYS);
    })
    .join('\n');
}

function checkRare(rare) {
  const own = new Set(
    rare.flatMap(section => [...section.matchAll(DEFINITION)].flatMap(([, func, list]) => func ?? list)),
  );
  for (const [, name] of rare.join('\n').matchAll(/^function (\w+)\(/gm)) {
    if (!own.has(name)) throw new Error(`"${name}" is declared in a file that always runs, and made in a rare one`);
  }
}

function compose(section, isUsed, { begin, end }) {
  const shared = [];
  const body = section.replace(DEFINITION, (whole, func, list = func ?? '', isGiven) => {
    const names = list.split(', ');
    if (!names.some(isUsed)) return whole;
    shared.push(...names);
    if (func) return `function ${func}`;
    return isGiven ? list : '';
  });
  const declared = shared.length > 0 ? `local ${[...new Set(shared)].join(', ')}\n` : '';
  return `${declared}${begin}\n${body}\n${end}`;
}
