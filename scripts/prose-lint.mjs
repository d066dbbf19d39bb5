// The lint of our prose: `node scripts/prose-lint.mjs [file …]`. Without files it reads the whole repository, as `npm run check` does.
// Owns: which files have prose. Neighbour: `prose-rules.mjs` has the rules.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { faultsOf } from './prose-rules.mjs';
import { proseOf } from './prose-text.mjs';

/** Files, and folders that end with a slash, without prose of ours: figures and texts that programs write, and the rules, which quote the words that they ban. */
const NOT_PROSE = ['docs/bench/', 'scripts/prose-rules.mjs', 'test/unit/prose-lint.test.ts', 'LICENSE'];

const READ = /\.(md|ts|mts|mjs|cjs|cts|lua)$/;

/** @returns {{ file: string, line: number, rule: string, found: string, instead: string }[]} */
export function lint(file) {
  return proseOf(file, readFileSync(file, 'utf8')).flatMap(block => faultsOf(block).map(fault => ({ file, ...fault })));
}

/** All files of the repository that have prose, committed or not. */
export function proseFiles() {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
  return listed
    .split('\n')
    .filter(file => READ.test(file) && existsSync(file) && !NOT_PROSE.some(entry => file.startsWith(entry)));
}

function main(given) {
  const faults = (given.length > 0 ? given : proseFiles()).flatMap(lint);
  for (const { file, line, rule, found, instead } of faults)
    stdout.write(`${file}:${line} ${rule}: "${found}"; write: ${instead}\n`);
  if (faults.length > 0) stdout.write(`${faults.length} faults of prose\n`);
  return faults.length > 0 ? 1 : 0;
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(main(argv.slice(2)));
