/**
 * The property behind a constructor parameter is found in classes whose text is hard to read, from each common compiler,
 * or none is found, but never a wrong one. `SEED=n` repeats one set of classes, `CLASS_TEXTS=n` makes more.
 */
import fc from 'fast-check';
import { parameterProperty } from '../../src/nest/decorators/constructor-parameter.js';
import { type ClassText, classText } from '../support/class-texts.js';
import { COMPILERS } from '../support/compilers.js';

type Command = new (...args: unknown[]) => Record<string, unknown>;

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const texts = fc.sample(classText, { numRuns: Number(process.env['CLASS_TEXTS'] ?? 40), seed });

/** Each in a function of its own, so that a minifier renames them. */
const script = texts.map(({ source }) => `classes.push((() => {\n${source}\nreturn Command;\n})());`).join('\n');

test.each(COMPILERS)(`%s hides no parameter property (SEED=${seed})`, async (compiler, compile) => {
  const classes: Command[] = [];
  new Function('classes', 'mark', await compile(script))(classes, () => () => {});
  expect(classes.length).toBe(texts.length);
  const faults = texts.flatMap((text, index) => faultsOf(text, classes[index] as Command, compiler));
  expect(faults.slice(0, 3)).toEqual([]);
});

function faultsOf({ source, properties }: ClassText, command: Command, compiler: string): object[] {
  const values = properties.map((_, index) => ({ index }));
  // The properties of the instance are compared with what the class is said to do.
  const instance = new command(...values);
  return values.flatMap((value, index) => {
    const expected = properties[index];
    const found = parameterProperty(command, index);
    const isHeld = expected === undefined || instance[expected] === value;
    const isRight = found === expected || (found === undefined && mayMiss(compiler, { command, source, index }));
    return isHeld && isRight ? [] : [{ index, expected, found, source, text: String(command) }];
  });
}

/** The text does not show it. At import this is an error with the remedy. */
function mayMiss(
  compiler: string,
  { command, source, index }: { command: Command; source: string; index: number },
): boolean {
  // In ES5, a parameter with a default value is a variable.
  if (compiler === 'swc ES5') return command.length <= index;
  // A helper with a short name, and an assignment to another property: either may be the user's.
  return compiler === 'esbuild ES2017 with defined fields minified' && source.includes(`.last = p${index};`);
}
