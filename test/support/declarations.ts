/**
 * The declarations of the sources, read from their syntax: interfaces with their members, error classes with their codes, exports.
 * Neighbour: `test/unit/reference.test.ts` compares it with the reference pages of the documents.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@babel/core';

/** The parts of a syntax tree that are read here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly leadingComments?: readonly { readonly value: string }[];
  readonly [field: string]: unknown;
}

export interface Member {
  readonly name: string;
  /** Its text in the source. */
  readonly type: string;
  /** The text after `@default` in its docstring; without one, `required`, or `not documented` of an optional member. */
  readonly default: string;
}

export interface ErrorClass {
  readonly name: string;
  readonly base: string;
  readonly isAbstract: boolean;
  /** The code that its constructor passes on, if it is a constant. */
  readonly code: string | undefined;
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .map(file => join('src', file));

function statementsOf(file: string): { readonly text: string; readonly nodes: readonly Node[] } {
  const text = readFileSync(file, 'utf8');
  const tree = parseSync(text, {
    babelrc: false,
    configFile: false,
    parserOpts: { plugins: ['typescript', 'decorators-legacy'] },
  }) as unknown as { readonly program: { readonly body: readonly Node[] } };
  return { text, nodes: tree.program.body.map(node => (node['declaration'] as Node | null | undefined) ?? node) };
}

const isNamed = (node: Node, name: string) => (node['id'] as { name?: string } | null | undefined)?.name === name;

/** The members of an interface, or the public ones of a class, without those that it inherits. */
export function membersOf(file: string, name: string): readonly Member[] {
  const { text, nodes } = statementsOf(file);
  const found = nodes.find(node => /^(TSInterface|Class)Declaration$/.test(node.type) && isNamed(node, name));
  if (!found) throw new Error(`${file} declares no interface or class ${name}.`);
  const body = (found['body'] as { readonly body: readonly Node[] }).body;
  const members = body.filter(isPublic).map(member => memberOf(member, text));
  return members.filter(({ name }, i) => members.findIndex(other => other.name === name) === i);
}

function isPublic(member: Node): boolean {
  const isHidden = member['accessibility'] === 'private' || member['kind'] === 'constructor';
  return !isHidden && !member.leadingComments?.some(({ value }) => value.includes('@internal'));
}

function memberOf(member: Node, text: string): Member {
  const isMethod = /Method/.test(member.type);
  const annotation = (member['typeAnnotation'] as { typeAnnotation?: Node } | undefined)?.typeAnnotation;
  const comment = member.leadingComments?.at(-1)?.value.replace(/^\s*\*( |$)/gm, '') ?? '';
  return {
    name: (member['key'] as { name: string }).name,
    type:
      annotation && !isMethod
        ? text.slice(annotation.start, annotation.end).replace(/\s+/g, ' ')
        : methodType(member, text),
    default: comment.match(/@default (.+)/)?.[1]?.trim() ?? (member['optional'] ? 'not documented' : 'required'),
  };
}

/** `get(): X` as `() => X`. */
function methodType(member: Node, text: string): string {
  const from = (member['key'] as Node).end;
  return text
    .slice(from, member.end)
    .replace(/;$/, '')
    .replace(/\): (?=[^:]*$)/, ') => ');
}

/** All classes of the sources that extend an error of this library. */
export function errorClasses(): readonly ErrorClass[] {
  const classes = sources.flatMap(file => statementsOf(file).nodes.filter(({ type }) => type === 'ClassDeclaration'));
  return classes.flatMap(node => {
    const base = (node['superClass'] as { name?: string } | null)?.name ?? '';
    if (base === 'Error' || !base.endsWith('Error')) return [];
    const name = (node['id'] as { name: string }).name;
    return [{ name, base, isAbstract: node['abstract'] === true, code: codeIn(node['body']) }];
  });
}

/** The constant that is the first argument of `super(…)`. */
function codeIn(tree: unknown): string | undefined {
  if (typeof tree !== 'object' || tree === null) return undefined;
  const { type, callee, arguments: args } = tree as { type?: string; callee?: Node; arguments?: readonly Node[] };
  if (type === 'CallExpression' && callee?.type === 'Super') {
    const first = args?.[0];
    return first?.type === 'StringLiteral' ? String(first['value']) : undefined;
  }
  for (const part of Object.values(tree)) {
    const code = codeIn(part);
    if (code !== undefined) return code;
  }
  return undefined;
}

/** The names that a module of re-exports passes on. */
export function exportsOf(file: string): readonly string[] {
  const { nodes } = statementsOf(file);
  return nodes.flatMap(node =>
    ((node['specifiers'] as readonly Node[] | undefined) ?? []).map(
      specifier => (specifier['exported'] as { name: string }).name,
    ),
  );
}
