// Switches off one guard of the protocol at a time and runs the tests that must miss it: `npm run test:mutations`, or
// with a word to run only guards and files that contain it. A guard that no test misses is a test that is missing.
//
// It works on a copy in a temporary folder, so that an interrupted run leaves nothing behind, and on a Redis of its own, so that the
// keys of a broken protocol disturb no other program.
//
// The lists are in test/mutations: what the guard does, which invariants and races it is for, the mark in the source behind which its
// text stands (`at`, see `mutation-guards.mjs`), that text (`from`), what stands there without the guard (`to`), and the smallest set
// of test files that must miss it.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { transformFileSync } from '@swc/core';
import { Redis } from 'ioredis';
import { transform } from '../jest.config.mjs';
import { startRedis } from './dev-redis.mjs';
import { FOLDER } from './lua/sources.mjs';
import { loadGuards, outdatedAmong, without } from './mutation-guards.mjs';

/** A test that waits in vain has missed the guard, too; it need not wait for long. */
const TEST_TIMEOUT_MS = 8000;
const RUN_TIMEOUT_MS = 120_000;
/** For all tests together, without a change. */
const GREEN_TIMEOUT_MS = 1_800_000;

/** The part of a store's contract with which the tests begin, for guards of a list: it will most likely miss them. */
const CONTRACT_OF = {
  replies: 'reply',
  batches: 'batch',
  context: 'envelope',
  drops: 'drop',
  flows: 'flow',
  hosts: 'hosts',
  intake: 'intake',
  retention: 'retention',
  'lost-hashes': 'intake',
  payloads: 'payload',
  dormant: 'dormant',
  schedules: 'schedule',
  shared: 'shared',
  silence: 'silence',
  sizes: 'size',
  retries: 'retry',
};

const SWC = { swcrc: false, ...Object.values(transform)[0][1] };

const [word = ''] = process.argv.slice(2);
const guards = await loadGuards();
const mutants = guards.filter(({ guard, cites, file }) => `${guard} ${cites} ${file}`.includes(word));
const outdated = outdatedAmong(mutants);
for (const { guard, at } of outdated) {
  console.error(
    `The list is out of date: the text of "${guard}" does not occur exactly once behind the mark "guards: ${at}".`,
  );
}
if (outdated.length > 0) process.exit(1);
if (mutants.length === 0) {
  console.error(`No guard, and no file, contains "${word}".`);
  process.exit(1);
}

const redis = await startRedis({ alwaysPrivate: true });
const client = new Redis(redis.url);
const copy = mkdtempSync(join(tmpdir(), 'atomic-queues-mutations-'));
let child;
process.once('exit', () => {
  child?.kill('SIGKILL');
  rmSync(copy, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
for (const part of ['src', 'test', 'scripts', 'package.json', 'jest.config.mjs']) {
  cpSync(part, join(copy, part), { recursive: true });
}
symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
const sources = readdirSync('src', { recursive: true, withFileTypes: true }).filter(entry =>
  entry.name.endsWith('.ts'),
);
for (const { parentPath, name } of sources) compile(join(parentPath, name));

const survivors = (await isGreen()) ? await checkAll() : undefined;
client.disconnect();
await redis.stop();
if (survivors !== undefined)
  console.log(`${mutants.length - survivors} of ${mutants.length} guards are missed by a test when they are taken out`);
process.exit(survivors === 0 ? 0 : 1);

/** The thread for renewals runs outside of Jest, from `dist`. A .lua file is part of the module that is generated. */
function compile(file) {
  if (!file.startsWith('src/')) return;
  if (file.endsWith('.lua')) {
    spawnSync(process.execPath, ['scripts/lua.mjs'], { cwd: copy });
    return compile(join(FOLDER, 'generated.ts'));
  }
  const compiled = join(copy, 'dist/esm', relative('src', file)).replace(/ts$/, 'js');
  mkdirSync(dirname(compiled), { recursive: true });
  writeFileSync(compiled, transformFileSync(join(copy, file), SWC).code);
}

async function isGreen() {
  const { failed, why } = await run([...new Set(mutants.flatMap(({ tests }) => tests))], {
    timeoutMs: GREEN_TIMEOUT_MS,
  });
  if (!why && failed.length === 0) return true;
  console.error(`The tests must be green before guards are switched off.\n${[...failed, why].join('\n')}`);
  return false;
}

/** @returns how many survived */
async function checkAll() {
  let survived = 0;
  for (const mutant of mutants) {
    const { guard, cites, file, tests, list } = mutant;
    const path = join(copy, file);
    const source = readFileSync(path, 'utf8');
    const change = text => {
      writeFileSync(path, text);
      compile(file);
    };
    change(without(mutant, source));
    const startedAt = performance.now();
    const { failed, passed, why } = await run(tests, { contractFirst: CONTRACT_OF[list] });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    change(source);
    // A mutant under which nothing works at all shows nothing about its guard.
    const verdict =
      failed.length === 0 ? (why ?? 'SURVIVED') : passed === 0 ? 'NO TEST PASSES: not a mutant' : failed[0];
    const isKilled = failed.length > 0 && passed > 0;
    if (!isKilled) survived++;
    console.log(
      `${isKilled ? 'killed' : 'ALIVE '} ${seconds.padStart(5)} s  ${guard} (${cites})\n${' '.repeat(16)}${verdict}`,
    );
  }
  return survived;
}

/** Runs test files in the copy, on an empty Redis. */
async function run(tests, { timeoutMs = RUN_TIMEOUT_MS, contractFirst = '' } = {}) {
  await client.flushall();
  const output = join(copy, 'results.json');
  rmSync(output, { force: true });
  const jest = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', ...tests];
  const args = [
    '--runInBand',
    '--forceExit',
    '--silent',
    `--env=${resolve('scripts/first-failure-environment.mjs')}`,
    `--testTimeout=${TEST_TIMEOUT_MS}`,
    '--json',
    `--outputFile=${output}`,
  ];
  child = spawn(process.execPath, [...jest, ...args], {
    cwd: copy,
    env: { ...process.env, REDIS_URL: redis.url, CONTRACT_FIRST: contractFirst },
    stdio: 'ignore',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  await new Promise(resolve => child.once('exit', resolve));
  try {
    const { numPassedTests: passed, testResults } = JSON.parse(readFileSync(output, 'utf8'));
    const failed = testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .flatMap(({ status, fullName }) => (status === 'failed' ? [fullName] : []));
    const broken = testResults.find(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
    );
    return { failed, passed, why: broken && `can't be loaded: ${broken.message.split('\n')[0]}` };
  } catch {
    return { failed: [], passed: 0, why: `did not end within ${timeoutMs / 1000} s` };
  }
}
