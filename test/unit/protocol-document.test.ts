/** `docs/protocol.md` compared with the code: cited numbers, operations of the scripts, files, and the length of paragraphs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const document = readFileSync('docs/protocol.md', 'utf8');

const filesIn = (folder: string, extension: RegExp) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => extension.test(file))
    .map(file => join(folder, file));

const CODE = /\.(ts|mjs|cts|cjs|lua)$/;
const sources = [...filesIn('src', CODE), ...filesIn('test', CODE), ...filesIn('scripts', CODE)];

/** The numbers in a list such as "6, 12 and 33" or "25–28". */
function numbersIn(list: string): number[] {
  return list.split(/, | and /).flatMap(part => {
    const [first = 0, last = first] = part.split(/[–-]| to /).map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

const LIST = String.raw`\d+(?:(?:, | and |[–-]| to )\d+)*`;

/** The numbers that the code cites, with one file each. */
function cited(find: (text: string) => readonly number[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const file of sources) for (const number of find(readFileSync(file, 'utf8'))) found.set(number, file);
  return found;
}

const invariantsIn = (text: string) => [...text.matchAll(/\bI(\d+)\b/g)].map(([, number]) => Number(number));
const racesIn = (text: string) =>
  [...text.matchAll(new RegExp(String.raw`\b[Rr]aces? (${LIST})\b`, 'g'))].flatMap(([, list = '']) => numbersIn(list));

/** The rows of the tables in one section, without their headers. */
function rowsOf(heading: string): string[][] {
  const [, section = ''] = document.split(`\n## ${heading}\n`);
  const [body = ''] = section.split('\n## ');
  const rows = body.split('\n').filter(line => line.startsWith('| '));
  const cells = rows.map(row =>
    row
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  );
  return cells.filter(([first = ''], index) => !/^-+$/.test(first) && !/^-+$/.test(cells[index + 1]?.[0] ?? ''));
}

test('numbersIn reads lists and ranges', () => {
  expect(racesIn('races 6, 12 and 33; race 4; Races 25–28')).toEqual([6, 12, 33, 4, 25, 26, 27, 28]);
});

test('each invariant that code and tests cite is defined once in docs/protocol.md, with its place and its tests', () => {
  const defined = [...document.matchAll(/^- \*\*I(\d+)\*\* /gm)].map(([, number]) => Number(number));
  expect(new Set(defined).size).toBe(defined.length);
  const citations = cited(invariantsIn);
  expect(citations.size).toBeGreaterThanOrEqual(11);
  expect([...citations].filter(([number]) => !defined.includes(number))).toEqual([]);
  expect(rowsOf('Invariants').map(([name]) => name)).toEqual(defined.map(number => `I${number}`));
});

test('each race that code and tests cite has a row in docs/protocol.md, and each row is cited', () => {
  const defined = rowsOf('Races').map(([number]) => Number(number));
  expect(new Set(defined).size).toBe(defined.length);
  const citations = cited(racesIn);
  expect([...citations].filter(([number]) => !defined.includes(number))).toEqual([]);
  expect(defined.filter(number => !citations.has(number))).toEqual([]);
});

test('docs/protocol.md cites only invariants and races that it defines', () => {
  const invariants = [...document.matchAll(/^- \*\*I(\d+)\*\* /gm)].map(([, number]) => Number(number));
  const races = [...rowsOf('Races').map(([number]) => Number(number)), OF_CLUSTER];
  expect(invariantsIn(document).filter(number => !invariants.includes(number))).toEqual([]);
  expect(racesIn(document).filter(number => !races.includes(number))).toEqual([]);
});

/** Operations without a row. The document says why they have none. */
const OF_CLUSTER = 23;

test('the table of operations in docs/protocol.md has the operations of the Lua scripts, and no others', () => {
  const lua = filesIn('src/store/redis/lua', /\.(ts|lua)$/).filter(file => !file.includes('generated'));
  const operations = lua.flatMap(file =>
    [...readFileSync(file, 'utf8').matchAll(/\bfunction (?:OPS|MANY)\.(\w+)/g)].map(([, name = '']) => name),
  );
  expect(operations.length).toBeGreaterThan(40);
  const told = rowsOf('Operations').flatMap(([operation = '', ...cells]) =>
    cells.length === 3 ? [operation.replaceAll('`', '')] : [],
  );
  expect([...new Set(told)].sort()).toEqual([...new Set(operations)].sort());
});

test('each file and folder that docs/protocol.md names exists', () => {
  const named = [...document.matchAll(/`((?:src|test|docs|scripts)\/[\w./-]*\w)`/g)].map(([, path = '']) => path);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter(path => !existsSync(path))).toEqual([]);
});

const LONGEST_PARAGRAPH = 120;

test('no paragraph and no item of a list in docs/protocol.md has more than 120 words', () => {
  const blocks = document
    .replace(/^```[\s\S]*?^```/gm, '')
    .split(/\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )/)
    .filter(block => !block.startsWith('|'));
  expect(blocks.length).toBeGreaterThan(100);
  const long = blocks.filter(block => block.split(/\s+/).filter(word => word !== '').length > LONGEST_PARAGRAPH);
  expect(long).toEqual([]);
});
