/**
 * Classes in TypeScript whose text is hard to read: parts of it look like a constructor, a string, a regular expression or a comment
 * and are none. Each class says which property every parameter of its constructor becomes.
 * Neighbour: `compilers.ts` compiles them to JavaScript.
 */
import fc, { type Arbitrary } from 'fast-check';

export interface ClassText {
  readonly source: string;
  /** For each parameter the property that always holds it, or undefined if there is none. */
  readonly properties: readonly (string | undefined)[];
}

/** The text of a decorator. A compiler without decorators leaves it out. */
export const MARK = '@mark() ';

const LITERALS = [
  '/["\'`]/',
  '/[/\\]"]+\\/\\/{1,2}(?:constructor\\()?/gu',
  '/}/.source',
  '/\\(constructor\\(p0\\)\\{/',
  '"https://example.org//x?y=\'{"',
  "'it\\'s \"constructor(p0) { this.wrong = p0\"'",
  '"/* none"',
  '6 / 2 / 1',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a template in the class
  '`// ${"`}"} \\` constructor(p0) {`',
  '/* constructor(p0) { this.wrong = p0 } */ 1',
  '[1].length /2/ 1',
  '(() => {}).constructor',
];

const { expression } = fc.letrec<{ expression: string }>(tie => ({
  expression: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom(...LITERALS),
    tie('expression').map(inner => `\`a\${\`}\${${inner}}'\`}"\``),
    tie('expression').map(inner => `[1, ${inner}]`),
    tie('expression').map(inner => `({ constructor(p0: any) { (this as any).wrong = p0; }, other: ${inner} })`),
    tie('expression').map(inner => `class { x = ${inner}; constructor(p0: any) { (this as any).wrong = p0; } }`),
    tie('expression').map(inner => `function (this: any, p0: any) { this.wrong = p0; return ${inner}; }`),
    tie('expression').map(inner => `((p0: any) => ({ wrong: p0, x: ${inner} }))`),
  ),
}));

const MEMBERS: readonly ((value: string, name: string) => string)[] = [
  (value, name) => `static readonly ${name} = ${value};`,
  (value, name) => `${name}: unknown = ${value};`,
  (value, name) => `#${name}: unknown = ${value}; get ${name}() { return this.#${name}; }`,
  (value, name) => `static get ${name}(): unknown { return ${value}; }`,
  value => `static { void (${value}); }`,
  (value, name) => `${MARK}${name}(p0: any) { (this as any).wrong = p0; return ${value}; }`,
  (value, name) => `${MARK}async *${name}(p0 = ${value}) { (this as any).wrong = p0; }`,
  (_, name) => `${name}() { return new (this as any).constructor(1); }`,
  value => `static [/constructor/.source](p0: any) { (this as any).wrong = p0; return ${value}; }`,
  (value, name) => `["${name} constructor"](p0: any) { (this as any).wrong = p0; return ${value}; }`,
  (_, name) => `// it's a comment with constructor(p0) {\n  ${name}?: string; /* \` */`,
];

const HERITAGE: readonly ((value: string) => string)[] = [
  () => '',
  value => `extends (class { x: unknown = ${value}; constructor(p0: any) { (this as any).wrong = p0; } })`,
  value => `extends ((_: unknown, base: new (...args: any[]) => object) => base)(${value}, class {})`,
];

/** Texts with which the body begins. */
const BEFORE_BODY: readonly ((superCall: string, value: string) => string)[] = [
  (superCall, value) => `${superCall} void (${value});`,
  (superCall, value) => `const before = ${value}; ${superCall} void before;`,
];

/** The text of a parameter, the property that it becomes, and the text about it in the body. */
type Parameter = (name: string, value: string) => { written: string; property?: string; body?: string };
const PARAMETERS: readonly Parameter[] = [
  name => ({ written: `${MARK}readonly ${name}: any`, property: name }),
  name => ({ written: `${MARK}readonly ${name}: any`, property: name, body: `(this as any).last = ${name};` }),
  (name, value) => ({ written: `public ${name}: any = ${value}`, property: name }),
  name => ({ written: `${name}: any`, property: `own_${name}`, body: `(this as any).own_${name} = ${name};` }),
  name => ({ written: `${name}: any` }),
  (name, value) => ({ written: `${name}: any = ${value}`, body: `void (${name}, ${value});` }),
  name => ({ written: `${name}: any`, body: `if (${name} === 1) (this as any).wrong = ${name};` }),
  name => ({ written: `${name}: any`, body: `(() => { (this as any).wrong = ${name}; });` }),
  name => ({ written: `${name}: any`, body: `{ const ${name} = 1; (this as any).wrong = ${name}; }` }),
  name => ({ written: `{ ${name} }: any`, body: `(this as any).wrong = ${name};` }),
];

const member = fc.tuple(fc.constantFrom(...MEMBERS), expression);
const parameter = fc.tuple(fc.constantFrom(...PARAMETERS), expression);

export const classText: Arbitrary<ClassText> = fc
  .record({
    heritage: fc.tuple(fc.constantFrom(...HERITAGE), expression),
    before: fc.array(member, { maxLength: 3 }),
    parameters: fc.array(parameter, { minLength: 1, maxLength: 4 }),
    rest: expression,
    beforeBody: fc.constantFrom(...BEFORE_BODY),
    after: fc.array(member, { maxLength: 2 }),
  })
  .map(({ heritage: [extend, base], before, parameters, rest, beforeBody, after }) => {
    const extended = extend(base);
    const written = parameters.map(([write, value], index) => write(`p${index}`, value));
    const body = [beforeBody(extended === '' ? '' : 'super();', rest), ...written.map(({ body }) => body ?? '')];
    const members = [
      ...before.map(([write, value], index) => write(value, `b${index}`)),
      `constructor(${written.map(({ written }) => written).join(', ')}) {\n    ${body.filter(Boolean).join('\n    ')}\n  }`,
      ...after.map(([write, value], index) => write(value, `a${index}`)),
    ];
    return {
      source: `${MARK}class Command ${extended} {\n  ${members.join('\n  ')}\n}`,
      properties: written.map(({ property }) => property),
    };
  });
