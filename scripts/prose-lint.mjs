// The lint of our prose: `node scripts/prose-lint.mjs [file …]`. Without files it reads the whole repository, as `npm run check` does.
// Owns the lists: what must keep the rules of `prose-rules.mjs`, and what does not do so yet.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { faultsOf } from './prose-rules.mjs';
import { proseOf } from './prose-text.mjs';

/** Files, and folders that end with a slash, whose prose keeps the rules. The longest entry of both lists that fits a file decides. */
export const ENFORCED = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/',
  'examples/',
  'src/core/calls/',
  'src/core/enqueue/',
  'src/core/pod/',
  'src/core/ports/',
  'src/core/run/',
  'src/core/work/',
  'src/store/',
  'scripts/',
  'benchmarks/',
  'src/index.ts',
  'src/nest/',
  'test/unit/',
  'test/walk/',
  'test/property/',
  'test/faults/',
  'test/e2e/',
  'test/types/',
  'test/compat/',
  'test/integration/',
  'test/contract/',
  'src/core/model/',
  'src/core/options/',
  'jest.config.mjs',
];

/** Those that do not yet. An entry without a fault must move to {@link ENFORCED}. */
export const NOT_YET = ['src/', 'test/'];

/** Figures and texts that programs write. The rules themselves quote what they ban. */
export const NOT_PROSE = ['docs/bench/', 'scripts/prose-rules.mjs', 'test/unit/prose-lint.test.ts', 'LICENSE'];

const READ = /\.(md|ts|mts|mjs|cjs|cts|lua)$/;

/** @returns {'enforced' | 'not yet' | 'not prose' | 'in no list'} */
export function listOf(file) {
  const lists = [
    ['enforced', ENFORCED],
    ['not yet', NOT_YET],
    ['not prose', NOT_PROSE],
  ];
  let best = ['in no list', ''];
  for (const [name, entries] of lists)
    for (const entry of entries) if (fits(entry, file) && entry.length > best[1].length) best = [name, entry];
  return best[0];
}

const fits = (entry, file) => (entry.endsWith('/') ? file.startsWith(entry) : file === entry);

/** @returns {{ file: string, line: number, rule: string, found: string, instead: string }[]} */
export function lint(file) {
  return proseOf(file, readFileSync(file, 'utf8')).flatMap(block => faultsOf(block).map(fault => ({ file, ...fault })));
}

/** All files of the repository that have prose, committed or not. */
export function proseFiles() {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
  return listed.split('\n').filter(file => READ.test(file) && existsSync(file) && listOf(file) !== 'not prose');
}

/** Entries of {@link NOT_YET} all of whose files are clean, or that fit no file. */
export function cleanEntries(files = proseFiles()) {
  const waiting = files.filter(file => listOf(file) === 'not yet');
  return NOT_YET.filter(entry => {
    const own = waiting.filter(file => fits(entry, file));
    return own.every(file => lint(file).length === 0);
  });
}

function main(given) {
  const files = given.length > 0 ? given : proseFiles();
  const faults = files.filter(file => given.length > 0 || listOf(file) === 'enforced').flatMap(lint);
  for (const { file, line, rule, found, instead } of faults)
    stdout.write(`${file}:${line} ${rule}: "${found}"; write: ${instead}\n`);
  const unlisted = files.filter(file => listOf(file) === 'in no list');
  for (const file of unlisted) stdout.write(`${file} is in no list of scripts/prose-lint.mjs\n`);
  const clean = given.length > 0 ? [] : cleanEntries(files);
  for (const entry of clean) stdout.write(`${entry} is clean: move it to ENFORCED in scripts/prose-lint.mjs\n`);
  const total = faults.length + unlisted.length + clean.length;
  if (total > 0) stdout.write(`${total} faults of prose\n`);
  return total > 0 ? 1 : 0;
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(main(argv.slice(2)));
