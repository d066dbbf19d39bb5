/**
 * `npm run test:compat`: the packed package in applications of other kinds than this repository: NestJS 10 and 11 as
 * CommonJS with Jest, NestJS 12 as native ES modules and without @nestjs/cqrs, and the declarations with TypeScript from 4.9 on.
 *
 * Each folder beside this file is an application; it is copied, installed from the registry, and its `npm test` run.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis } from '#dev-redis';
import { npm } from '../../scripts/npm.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const applications = process.argv.length > 2 ? process.argv.slice(2) : ['nest10', 'nest11', 'nest12', 'types'];

const folder = mkdtempSync(join(tmpdir(), 'atomic-queues-compat-'));
const redis = await startRedis();
try {
  const [packed] = JSON.parse(run(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
  checkContents(packed.files.map(({ path }) => path));
  for (const application of applications) {
    const target = join(folder, application);
    cpSync(join(here, application), target, { recursive: true });
    cpSync(join(here, 'shared'), target, { recursive: true });
    run(target, 'install', '--no-audit', '--no-fund', '--no-package-lock', join(folder, packed.filename));
    run(target, 'test');
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

/** What a user installs: the built package, its documents and the example; test/unit/package.test.ts has the rest. */
function checkContents(files) {
  const known = /^(dist\/|docs\/|examples\/banking\/|(package\.json|README\.md|CHANGELOG\.md|LICENSE)$)/;
  const strange = files.filter(file => !known.test(file));
  const thread = ['esm', 'cjs'].map(build => `dist/${build}/store/redis/renewal-thread.entry.js`);
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
