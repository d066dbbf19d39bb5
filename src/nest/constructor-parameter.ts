/**
 * Which property a constructor parameter becomes. A parameter decorator is told an index; the class's own text tells
 * the rest: `constructor(accountId) { this.accountId = accountId }`, in the output of every compiler, minified or not.
 */

/** The property that the parameter at `index` is assigned to, or undefined where the text does not say. */
export function parameterProperty(
  target: abstract new (...args: never[]) => object,
  index: number,
): string | undefined {
  const text = withoutComments(Function.prototype.toString.call(target));
  const start = /\bconstructor\s*\(/.exec(text);
  if (!start) return undefined;
  const name = splitParameters(text, start.index + start[0].length)[index]?.match(
    /^\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u,
  )?.[1];
  if (!name) return undefined;
  const body = text.slice(start.index);
  const variable = `${escapeName(name)}(?![\\p{ID_Continue}$])`;
  const assigned = new RegExp(`this\\.([\\p{ID_Start}$_][\\p{ID_Continue}$]*)\\s*=\\s*${variable}`, 'u').exec(body);
  if (assigned) return assigned[1];
  // Some compilers define the property instead: defineProperty(this, "accountId", accountId)
  return new RegExp(`\\(\\s*this\\s*,\\s*["']([^"']+)["']\\s*,\\s*${variable}`, 'u').exec(body)?.[1];
}

/** Splits at the commas of the outermost level, from the opening parenthesis to its end. */
function splitParameters(text: string, from: number): string[] {
  const parameters: string[] = [];
  let depth = 0;
  let begin = from;
  for (let at = from; at < text.length; at++) {
    const char = text[at] ?? '';
    if (`'"\``.includes(char)) at = endOfString(text, at);
    else if ('([{'.includes(char)) depth++;
    else if (depth === 0 && (char === ',' || char === ')')) {
      parameters.push(text.slice(begin, at));
      begin = at + 1;
      if (char === ')') break;
    } else if (')]}'.includes(char)) depth--;
  }
  return parameters;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** Comments become a blank; strings are left as they are, whatever they hold. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string?: string) => string ?? ' ',
  );
}

function escapeName(name: string): string {
  return name.replaceAll('$', '\\$');
}
