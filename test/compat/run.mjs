/**
 * `npm run test:compat`: the packed package in applications of other kinds than this repository: NestJS 10 and 11 as
 * CommonJS with Jest, NestJS 12 as native ES modules and without @nestjs/cqrs, and the declarations with TypeScript from 4.9 on.
 *
 * Each folder here is an application. The script copies it, installs it by the commands of the README, with the packed package
 * in place of its name, and runs its `npm test`.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis } from '#dev-redis';
import { npm } from '../../scripts/npm.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
/** When the README's command for @nestjs/cqrs runs: before the tests of an application, after them, or not at all. */
const CQRS = { nest10: 'before', nest11: 'before', nest12: 'after', types: 'never' };
const applications = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CQRS);
const commands = installCommands();

const folder = mkdtempSync(join(tmpdir(), 'atomic-queues-compat-'));
const redis = await startRedis();
try {
  const [packed] = JSON.parse(run(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
  checkContents(packed.files.map(({ path }) => path));
  for (const application of applications) {
    const target = join(folder, application);
    cpSync(join(here, application), target, { recursive: true });
    cpSync(join(here, 'shared'), target, { recursive: true });
    // Packages that an application names itself stay: one of them is the oldest ioredis.
    const { dependencies } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8'));
    const install = command => {
      const words = command
        .filter(word => !(word.replace(/@\d+$/, '') in dependencies))
        .map(word => (word === 'atomic-queues' ? join(folder, packed.filename) : word));
      run(target, 'install', '--no-audit', '--no-fund', '--no-package-lock', ...words);
    };
    install(commands.always);
    if (CQRS[application] === 'before') install(commands[application]);
    run(target, 'test');
    if (CQRS[application] === 'after') install(commands[application]);
    process.stdout.write(`${application}: ok\n`);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
}

function run(cwd, ...args) {
  const env = { ...process.env, REDIS_URL: redis.url, NODE_OPTIONS: '' };
  return npm(cwd, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The packages that the README tells users of each version of NestJS to install. */
function installCommands() {
  const lines = readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^npm install (.*?) *# NestJS ([^:\n]*)/gm);
  const found = {};
  for (const [, packages, versions] of lines) {
    const isAlways = packages.startsWith('atomic-queues');
    for (const version of versions.match(/\d+/g) ?? []) {
      found[isAlways ? 'always' : `nest${version}`] = packages.split(' ');
    }
  }
  const needed = Object.keys(CQRS).filter(name => CQRS[name] !== 'never');
  const missing = ['always', ...needed].filter(name => !found[name]);
  if (missing.length > 0) throw new Error(`The README has no command to install: ${missing}`);
  return found;
}

/** The files that a user installs: the built package, its documents and the example. test/unit/package.test.ts checks the rest. */
function checkContents(files) {
  const known = /^(dist\/|docs\/|examples\/banking\/|(package\.json|README\.md|CHANGELOG\.md|LICENSE)$)/;
  const strange = files.filter(file => !known.test(file));
  const thread = ['esm', 'cjs'].map(build => `dist/${build}/store/redis/renewal/renewal-thread.entry.js`);
  const missing = [
    'dist/esm/index.js',
    'dist/esm/index.d.ts',
    'dist/cjs/index.js',
    'README.md',
    'LICENSE',
    ...thread,
  ].filter(file => !files.includes(file));
  if (strange.length + missing.length > 0) throw new Error(`package: too much: ${strange}; missing: ${missing}`);
  process.stdout.write(`package: ${files.length} files\n`);
}
