/**
 * The quick start of the README, compiled and run as a reader would: a program of its own, the built package, real Redis.
 * Neighbour: `test/unit/house.test.ts` compiles every code block of the documents.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';

const FOLDER = 'build/quick-start';

/** What a reader has to change: where Redis is. The test also needs keys of its own. */
const CONNECTION = "{ host: 'localhost', port: 6379 }";
const MODULE = 'AtomicQueuesModule.forRoot({ redis })';

const [, quickStart = ''] = readFileSync('README.md', 'utf8').match(/^## Quick start\n\n```ts\n([\s\S]*?)^```/m) ?? [];
const keyPrefix = freshPrefix();

function node(...args: string[]) {
  return spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, NO_COLOR: '1' },
  });
}

/** @returns the compiled program. */
function compiled(): string {
  const program = quickStart
    .replace(CONNECTION, JSON.stringify({ url: redisUrl() }))
    .replace(MODULE, `AtomicQueuesModule.forRoot({ redis, keyPrefix: '${keyPrefix}' })`);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'quick-start.ts'), program);
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { outDir: 'out', rootDir: '.' },
    include: ['*.ts'],
    exclude: [],
  };
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(config));
  const tsc = node('node_modules/typescript/bin/tsc', '-p', FOLDER);
  expect({ output: tsc.stdout, status: tsc.status }).toEqual({ output: '', status: 0 });
  return join(FOLDER, 'out/quick-start.js');
}

afterAll(async () => {
  const redis = connect();
  await dropKeys(redis, keyPrefix);
  redis.disconnect();
});

test('the quick start of the README has at most 25 lines, and names its Redis in one place', () => {
  expect(quickStart.trimEnd().split('\n').length).toBeLessThanOrEqual(25);
  expect(quickStart.split(CONNECTION)).toHaveLength(2);
  expect(quickStart.split(MODULE)).toHaveLength(2);
});

test('the quick start of the README runs: the first withdrawal gets 20, the second one is refused, and the process ends', () => {
  const run = node(compiled());
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  expect(run.stdout).toContain("{ status: 'fulfilled', value: 20 }");
  expect(run.stdout).toMatch(/status: 'rejected',\s+reason: HandlerError: insufficient funds/);
  expect(run.stdout).toContain("code: 'HANDLER_FAILED'");
  const statuses = run.stdout.matchAll(/status: '(\w+)'/g);
  expect([...statuses].map(([, status]) => status)).toEqual(['fulfilled', 'rejected']);
});
