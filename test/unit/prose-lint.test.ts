/**
 * The lint of our prose, tested on texts with one fault each: a rule that is removed, or that no longer matches, fails here.
 * Neighbour: `npm run check` runs the lint on the repository.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { proseFiles } from '../../scripts/prose-lint.mjs';
import { faultsOf, LONG_SENTENCE, MAX_WORDS, RULES } from '../../scripts/prose-rules.mjs';
import { type Block, proseOf } from '../../scripts/prose-text.mjs';

/** By rule: texts that break it, and similar texts that do not. */
const TEXTS: Readonly<Record<string, { readonly bad: readonly string[]; readonly good: readonly string[] }>> = {
  nobody: {
    bad: [
      'Nobody waits for it.',
      'Until somebody decides.',
      'If anybody waits.',
      'No one owns it.',
      'Someone, anyone.',
    ],
    good: ['No pod waits for it.'],
  },
  whoever: {
    bad: ['Whoever runs it replies.', 'Whatever it throws.'],
    good: ['The owner replies, in whichever order.'],
  },
  person: { bad: ['It waits for a person.', 'People decide.'], good: ['A personal key.'] },
  who: { bad: ['The pod who owns it.', 'For whom it waits.'], good: ['The whole queue.'] },
  anew: { bad: ['The worker begins anew.'], good: ['A new worker begins.'] },
  likewise: { bad: ['The others likewise.'], good: ['The others do the same.'] },
  beside: { bad: ['It runs beside another job.'], good: ['Besides, it runs.'] },
  'as that of': {
    bad: ['As that of the module.', 'The same as those of the type.'],
    good: ['Overrides that of the module.'],
  },
  'for good': { bad: ['It fails for good.'], good: ['It is for goods.'] },
  lest: { bad: ['It waits, lest it be lost.'], good: ['At least once.'] },
  'came past': { bad: ['Work that came past this library.'], good: ['The time has come.'] },
  'in books': { bad: ['An entity in no book.', 'It is in the books.'], good: ['A reference book is long.'] },
  tries: {
    bad: ['It has tries left.', 'With all its tries.', 'No try is left: the last try failed.'],
    good: ['The pod tries again.', 'It has two attempts left.'],
  },
  tenure: { bad: ['The tenure ends.', 'It is in the job-line.', 'Owed answers.'], good: ['The worker state.'] },
  'is through': {
    bad: ['The job is through.', 'When they are through, they end.'],
    good: ['It is through a script that it ends.'],
  },
  'is to be': { bad: ['The signal is to be handed on.'], good: ['The signal is to be.'] },
  where: {
    bad: ['Where it is lost, it fails.', 'It ends. Where it does not, it waits.', 'Also where it has ended.'],
    good: ['The queue where it waits.', 'Where does it wait?'],
  },
  'what is': {
    bad: ['What is lost comes back.', 'It ends. What has ended is gone.', 'What no pod knows fails.'],
    good: ['What is a lease?', 'What this does not guarantee.', 'It knows what is lost.'],
  },
  of: {
    bad: ['Of jobs that have ended, one stays.', 'It ends. Of these, none.'],
    good: ['Of course.', 'Of 12 jobs none was lost.'],
  },
  'title and': { bad: ['and it stays there', 'but not twice'], good: ['a job and its result stay'] },
};

const block = (text: string, kind: Block['kind'] = 'paragraph'): Block => ({ line: 1, kind, text });
const rulesBroken = (text: string, kind?: Block['kind']) => faultsOf(block(text, kind)).map(({ rule }) => rule);

test('each rule of the lint is tested here, and each test has a rule', () => {
  expect(RULES.map(({ id }) => id).sort()).toEqual(Object.keys(TEXTS).sort());
});

test.each(Object.entries(TEXTS))('the lint finds "%s" and no similar text', (rule, { bad, good }) => {
  const kind = rule === 'title and' ? 'title' : 'comment';
  expect(bad.filter(text => !rulesBroken(text, kind).includes(rule))).toEqual([]);
  expect(good.filter(text => rulesBroken(text, kind).includes(rule))).toEqual([]);
});

test('the lint finds the words of all alternatives of a rule, not only of the first', () => {
  const words = [
    'whatever',
    'whoever',
    'nobody',
    'somebody',
    'who',
    'person',
    'anew',
    'beside',
    'likewise',
    'for good',
  ];
  expect(words.filter(word => rulesBroken(`The pod, ${word}.`).length === 0)).toEqual([]);
});

test('the lint finds a sentence with too many words, and reports its line', () => {
  const words = (count: number) => `${Array.from({ length: count }, () => 'word').join(' ')}.`;
  expect(rulesBroken(words(MAX_WORDS))).toEqual([]);
  expect(rulesBroken(words(MAX_WORDS + 1))).toEqual([LONG_SENTENCE]);
  expect(rulesBroken(`${words(MAX_WORDS)} Then ${words(MAX_WORDS - 1)}`)).toEqual([]);
  const [fault] = faultsOf(block(`Short.\nShort.\nThen ${words(MAX_WORDS)}`));
  expect(fault).toMatchObject({ rule: LONG_SENTENCE, line: 3 });
  expect(MAX_WORDS).toBeLessThanOrEqual(30);
});

test('the prose of Markdown is its paragraphs, items, headings and cells, without code', () => {
  const source = [
    '# A `nobody` title',
    '',
    'One `nobody`,',
    'two [three](who.md).',
    '',
    '- four',
    '- five',
    '',
    '| six | seven |',
    '| --- | --- |',
    '',
    '```ts',
    '// nobody',
    '```',
    '',
  ].join('\n');
  expect(proseOf('x.md', source).map(({ line, kind, text }) => [line, kind, text])).toEqual([
    [1, 'heading', 'A CODE title'],
    [3, 'paragraph', 'One CODE,\ntwo three.'],
    [6, 'paragraph', 'four'],
    [7, 'paragraph', 'five'],
    [9, 'cell', 'six'],
    [9, 'cell', 'seven'],
  ]);
});

const SCRIPT = `
/** One \`nobody\` {@link who}. @default nobody */
const a = 'two words'; // three
// four
// five
const b = /'nobody waits'/.test(\`six \${c('seven eight')} nine\`) ? 'nobody' : 1 / 2; // ten
`;

test('the prose of TypeScript is its comments and its strings of several words', () => {
  const blocks = proseOf('src/x.ts', SCRIPT).map(({ line, kind, text }) => `${line} ${kind} ${text}`);
  expect(blocks.sort()).toEqual([
    '2 comment One CODE CODE.',
    '3 comment three',
    '3 message two words',
    '4 comment four\nfive',
    '6 comment ten',
    '6 message seven eight',
  ]);
});

test('the prose of a test is its comments and its titles', () => {
  const source = `
test('one title', () => expect('not a title').toBe(1));
test.each([['not', 1]])('another title', () => {});
describe('a group', () => {});
`;
  expect(proseOf('test/x.ts', source).map(({ kind, text }) => [kind, text])).toEqual([
    ['title', 'one title'],
    ['title', 'another title'],
    ['title', 'a group'],
  ]);
});

test('the prose of Lua is its comments', () => {
  const source = `-- one\n-- two\nlocal x = "-- three" -- four\n`;
  expect(proseOf('x.lua', source).map(({ line, text }) => [line, text])).toEqual([
    [1, 'one\ntwo'],
    [3, 'four'],
  ]);
});

test('the lint reads every document, source and test, and not the files that programs write', () => {
  const files = proseFiles();
  expect(files.length).toBeGreaterThan(400);
  expect(files).toEqual(
    expect.arrayContaining([
      'README.md',
      'docs/protocol.md',
      'src/index.ts',
      'src/store/redis/lua/grant.lua',
      'scripts/build.mjs',
    ]),
  );
  expect(files.filter(file => file.startsWith('docs/bench/'))).toEqual([]);
});

test('the lint fails, with file and line, for a file with a fault, and passes without one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prose-'));
  try {
    const file = join(folder, 'page.md');
    const run = () => spawnSync(process.execPath, ['scripts/prose-lint.mjs', file], { encoding: 'utf8' });
    writeFileSync(file, 'The pod waits.\n\nNobody waits.\n');
    expect(run()).toMatchObject({ status: 1, stdout: expect.stringContaining(`${file}:3 nobody: "Nobody"`) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
