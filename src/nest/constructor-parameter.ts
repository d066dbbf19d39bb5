/**
 * Which property a constructor parameter becomes. A parameter decorator is told an index; the class's own text tells
 * the rest: `constructor(accountId) { this.accountId = accountId }`, in the output of every compiler, minified or not.
 *
 * A wrong answer would send jobs to another entity without a word, so what is not plainly an assignment of the
 * parameter itself is no answer. Neighbour: `decorators.ts` makes an error of that, `command-class.ts` checks the
 * property on each instance.
 */

const NAME = '[\\p{ID_Start}$_][\\p{ID_Continue}$]*';

/** The property that the parameter at `index` is assigned to, or undefined where the text does not say. */
export function parameterProperty(
  target: abstract new (...args: never[]) => object,
  index: number,
): string | undefined {
  const written = readConstructor(withoutComments(Function.prototype.toString.call(target)));
  const name = written?.parameters[index]?.match(new RegExp(`^\\s*(${NAME})`, 'u'))?.[1];
  if (!written || !name) return undefined;
  // `this.size = id.length` and `this.big = id == 5` are not the parameter: it must stand there alone.
  const value = name.replaceAll('$', '\\$');
  const assigned = new RegExp(`\\bthis\\.(${NAME})\\s*=\\s*${value}\\s*[;,)}]`, 'u').exec(written.body);
  if (assigned) return assigned[1];
  // Some compilers define the property instead: defineProperty(this, "accountId", accountId)
  return new RegExp(`\\(\\s*this\\s*,\\s*["']([^"']+)["']\\s*,\\s*${value}\\s*[,)]`, 'u').exec(written.body)?.[1];
}

/** The constructor's parameters as written, and its body with the closing brace. */
function readConstructor(text: string): { parameters: string[]; body: string } | undefined {
  const head = /constructor\s*\(/y;
  // Only at the depth of class members: `new this.constructor(…)` in a method is not it, nor is one in a field.
  const found = walk(text, 0, (at, depth) => {
    head.lastIndex = at;
    return depth === 1 && !/[.\w$#]/.test(text[at - 1] ?? '') && head.test(text);
  });
  if (found === text.length) return undefined;
  const parameters: string[] = [];
  let begin = head.lastIndex;
  const end = walk(text, begin, (at, depth) => {
    if (depth < 0 || (depth === 0 && text[at] === ',')) {
      parameters.push(text.slice(begin, at));
      begin = at + 1;
    }
    return depth < 0;
  });
  const open = text.indexOf('{', end) + 1;
  return { parameters, body: text.slice(open, walk(text, open, (_, depth) => depth < 0) + 1) };
}

/** Visits each character outside of strings, with the number of brackets opened since `from`; stops where told to. */
function walk(text: string, from: number, stop: (at: number, depth: number) => boolean): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const char = text[at] ?? '';
    if (`'"\``.includes(char)) at = endOfString(text, at);
    else {
      if (')]}'.includes(char)) depth--;
      if (stop(at, depth)) return at;
      if ('([{'.includes(char)) depth++;
    }
  }
  return text.length;
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
