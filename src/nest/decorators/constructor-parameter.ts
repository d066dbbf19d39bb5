/**
 * Finds the property that gets a constructor parameter. A parameter decorator knows only an index. The class's own text has the rest:
 * `constructor(accountId) { this.accountId = accountId }`, in the output of every compiler, minified or not.
 *
 * Owns: which property counts. A wrong one would silently send jobs to another entity, so the text is parsed, and only code that
 * always runs and stores the parameter itself counts.
 * Neighbours: `queue-entity.decorator.ts` throws if no property is found; `command-class.ts` checks the property on each instance.
 */
import {
  type AnyNode,
  type Expression,
  type FunctionExpression,
  type Options,
  type Pattern,
  parse,
  type SpreadElement,
} from 'acorn';

/** The code around a class may allow syntax that its own text does not. */
const SYNTAX: Options = {
  ecmaVersion: 'latest',
  allowSuperOutsideMethod: true,
  allowImportExportEverywhere: true,
  checkPrivateFields: false,
};

type Constructor = Pick<FunctionExpression, 'params' | 'body'>;

/** A property that gets the parameter. */
interface Found {
  readonly property: string;
  /** A call of an unknown function, `f(this, "id", id)`: the helper of a minified compiler, or the user's own function. */
  readonly isGuess: boolean;
}

/** The property that stores the parameter at `index`, or undefined if the class's text does not show it. */
export function parameterProperty(
  target: abstract new (...args: never[]) => object,
  index: number,
): string | undefined {
  const written = readConstructor(Function.prototype.toString.call(target));
  const parameter = nameOf(written?.params[index]);
  if (!written || parameter === undefined) return undefined;
  const body = written.body.body.flatMap(alwaysRun);
  const instances = body.flatMap(returned);
  const isInstance = (node: AnyNode) =>
    node.type === 'ThisExpression' || (node.type === 'Identifier' && instances.includes(node.name));
  const found = body.flatMap(node => storing(node, parameter, isInstance));
  const first = found[0];
  // An unknown function may store the parameter or not. If other code names another property, the right one is unclear.
  const isUnclear = first?.isGuess && found.some(({ property }) => property !== first.property);
  return isUnclear ? undefined : first?.property;
}

/** Compilers for ES5 turn a class into a function, which is its own constructor. */
function readConstructor(text: string): Constructor | undefined {
  const made = parseClass(text);
  if (made?.type === 'FunctionExpression') return made;
  if (made?.type !== 'ClassExpression') return undefined;
  for (const member of made.body.body) {
    if (member.type === 'MethodDefinition' && member.kind === 'constructor') return member.value;
  }
  return undefined;
}

function parseClass(text: string): AnyNode | undefined {
  try {
    // The outer function allows `await`, `yield` and `new.target` in a heritage clause and in computed names.
    const [outer] = parse(`(async function* () { (${text}) })`, SYNTAX).body;
    const around = outer?.type === 'ExpressionStatement' ? outer.expression : undefined;
    const inner = around?.type === 'FunctionExpression' ? around.body.body[0] : undefined;
    return inner?.type === 'ExpressionStatement' ? inner.expression : undefined;
  } catch {
    // Native code, a proxy of a class, or syntax that is newer than the parser.
    return undefined;
  }
}

/** A pattern destructures its value, and a rest parameter is an array: neither is the parameter itself. */
function nameOf(parameter: Pattern | undefined): string | undefined {
  if (parameter?.type === 'AssignmentPattern') return nameOf(parameter.left);
  return parameter?.type === 'Identifier' ? parameter.name : undefined;
}

/** The expressions that run whenever a statement does, in order. Minifiers move them to unexpected places. */
function alwaysRun(node: AnyNode | null | undefined): AnyNode[] {
  switch (node?.type) {
    case 'ExpressionStatement':
      return alwaysRun(node.expression);
    case 'SequenceExpression':
      return node.expressions.flatMap(alwaysRun);
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ init }) => [...alwaysRun(init), ...whatCallsSuper(init)]);
    case 'IfStatement':
    case 'ConditionalExpression':
      return alwaysRun(node.test);
    case 'LogicalExpression':
      return alwaysRun(node.left);
    case 'UnaryExpression':
    case 'ThrowStatement':
      return alwaysRun(node.argument);
    case 'ReturnStatement':
      return [...alwaysRun(node.argument), node];
    case 'SwitchStatement':
      return alwaysRun(node.discriminant);
    case 'ForStatement':
      // A variable declared there may shadow the parameter.
      return node.init?.type === 'VariableDeclaration' ? [] : alwaysRun(node.init);
    case 'AssignmentExpression':
      return [...alwaysRun(node.right), node];
    case 'CallExpression':
      return [node];
    default:
      return [];
  }
}

/** esbuild moves `super()` and all code after it into a function, if the call is no statement of its own. */
function whatCallsSuper(node: AnyNode | null | undefined): AnyNode[] {
  if (node?.type !== 'ArrowFunctionExpression') return [];
  const { body } = node;
  const run = body.type === 'BlockStatement' ? body.body.flatMap(alwaysRun) : alwaysRun(body);
  return run.some(call => call.type === 'CallExpression' && call.callee.type === 'Super') ? run : [];
}

/** The variable that a constructor for ES5 returns as the instance: `return _this`. */
function returned(node: AnyNode): string[] {
  if (node.type !== 'ReturnStatement') return [];
  const value = node.argument?.type === 'SequenceExpression' ? node.argument.expressions.at(-1) : node.argument;
  return value?.type === 'Identifier' ? [value.name] : [];
}

function storing(node: AnyNode, parameter: string, isInstance: (node: AnyNode) => boolean): Found[] {
  const isParameter = (value: AnyNode | undefined) => value?.type === 'Identifier' && value.name === parameter;
  if (node.type === 'AssignmentExpression' && node.operator === '=' && isParameter(node.right)) {
    const { left } = node;
    if (left.type !== 'MemberExpression' || !isInstance(left.object)) return [];
    if (!left.computed && left.property.type === 'Identifier')
      return [{ property: left.property.name, isGuess: false }];
    const property = textOf(left.property);
    return property === undefined ? [] : [{ property, isGuess: false }];
  }
  // define(this, "accountId", accountId), or with a descriptor: { value: accountId }
  if (node.type !== 'CallExpression') return [];
  const [object, name, value] = node.arguments;
  const property = textOf(name);
  if (!object || !isInstance(object) || property === undefined) return [];
  if (isParameter(value) || isParameter(describedValue(value))) return [{ property, isGuess: !isDefiner(node.callee) }];
  return [];
}

function textOf(node: AnyNode | undefined): string | undefined {
  return node?.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined;
}

/** The value of a property descriptor. */
function describedValue(node: Expression | SpreadElement | undefined): Expression | undefined {
  if (node?.type !== 'ObjectExpression') return undefined;
  for (const entry of node.properties) {
    if (entry.type === 'Property' && entry.key.type === 'Identifier' && entry.key.name === 'value') return entry.value;
  }
  return undefined;
}

/** `Object.defineProperty`, and the helpers of Babel, swc and esbuild, if no minifier has renamed them. */
function isDefiner(callee: AnyNode): boolean {
  const name = callee.type === 'MemberExpression' ? callee.property : callee;
  return name.type === 'Identifier' && /^_*(define_?property|publicField)$/i.test(name.name);
}
