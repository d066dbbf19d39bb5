/**
 * Writes the values of Lua constants where their names stand: a constant is then none of the 200 local variables that Lua allows
 * one function, and costs no lookup. A constant is a line `local SOME_NAME = 1`, or `local A, B = 1, 2`, at the margin; `CORE.NAME`
 * counts as a number, since the module fills it in.
 */
const DEFINITION = /^local ([A-Z][A-Z_]+(?:, [A-Z][A-Z_]+)*) = ((?:[\d.e]+|CORE\.\w+)(?:, (?:[\d.e]+|CORE\.\w+))*)$/gm;
/** Not within a text, and not a field. */
const NAME = /(?<!['.\w])[A-Z][A-Z_]+(?!['\w])/g;

/** @param {string} lua */
export function inlineConstants(lua) {
  const values = new Map();
  const rest = lua.replace(DEFINITION, (_, names, numbers) => {
    const all = numbers.split(', ');
    for (const [index, name] of names.split(', ').entries()) values.set(name, all[index] ?? 'nil');
    return '';
  });
  return rest.replace(NAME, name => values.get(name) ?? name);
}
