/**
 * Writes the values of our constants where their names stand: a constant is then none of the 200 local variables that Lua allows
 * one function, and costs no lookup. A constant is a line `local SOME_NAME = 1`, or `local A, B = 1, 2`.
 */
const DEFINITION = /^local ([A-Z][A-Z_]+(?:, [A-Z][A-Z_]+)*) = ([\d.e]+(?:, [\d.e]+)*)$/gm;
/** Not within a text, and not a field. */
const NAME = /(?<!['.\w])[A-Z][A-Z_]+(?!['\w])/g;

export function inlineConstants(lua: string): string {
  const values = new Map<string, string>();
  const rest = lua.replace(DEFINITION, (_, names: string, numbers: string) => {
    const all = numbers.split(', ');
    for (const [index, name] of names.split(', ').entries()) values.set(name, all[index] ?? 'nil');
    return '';
  });
  return rest.replace(NAME, name => values.get(name) ?? name);
}
