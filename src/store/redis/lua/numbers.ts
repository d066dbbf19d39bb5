/**
 * Writes numbers that are arguments of commands as texts: Redis would make a text of each at every call, which was a 25th of its
 * time. Only literals between commas are touched, so that nothing is calculated with a text.
 * Neighbour: `compose.ts` composes what goes through here.
 */

/** `rcall` is BullMQ's name of it. */
const CALL = /\b(?:rcall|redis\.call|write)\(/g;
/** A text, a bracket, or a number that is an argument by itself. */
const PART = /"[^"\n]*"|'[^'\n]*'|([([{])|([)\]}])|(?<=, *)(-?\d+)(?= *[,)])/g;

export function spellNumbers(lua: string): string {
  const places = [...lua.matchAll(CALL)].flatMap(({ index, 0: call }) => numbersOfCall(lua, index + call.length));
  let spelled = '';
  let from = 0;
  for (const { at, number } of places.sort((one, other) => one.at - other.at)) {
    spelled += `${lua.slice(from, at)}'${number}'`;
    from = at + number.length;
  }
  return spelled + lua.slice(from);
}

interface Place {
  readonly at: number;
  readonly number: string;
}

function numbersOfCall(lua: string, from: number): Place[] {
  const places: Place[] = [];
  const part = new RegExp(PART);
  part.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const found = part.exec(lua);
    if (!found) break;
    const [, opening, closing, number] = found;
    if (opening) depth++;
    else if (closing) depth--;
    else if (number && depth === 1) places.push({ at: found.index, number });
  }
  return places;
}
