/** The layout of the code, read from its imports, and the code of its documents, checked by the compiler. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, normalize, relative } from 'node:path';
import { TRANSITIONS } from '../../src/core/work/transitions.js';
import { writeBlocks } from '../support/doc-code.js';

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
const imports: Import[] = files.flatMap(from =>
  [...readFileSync(join('src', from), 'utf8').matchAll(/from '([^']+)'/g)].map(([, target = '']) => ({
    from,
    to: target.startsWith('.') ? relative('.', normalize(join(dirname(from), target))).replace(/\.js$/, '.ts') : target,
  })),
);
const inside = (folder: string) => imports.filter(({ from }) => from.startsWith(folder));

test('the core imports only the core', () => {
  expect(files.length).toBeGreaterThan(30);
  // Only Node has asynchronous contexts and timers.
  const allowed = ({ from, to }: Import) =>
    to.startsWith('core/') ||
    to === 'node:async_hooks' ||
    (from === OWN_TIMERS && ['node:timers', 'node:perf_hooks'].includes(to));
  expect(inside('core/').filter(found => !allowed(found))).toEqual([]);
});

const OWN_TIMERS = 'core/ports/own-timers.ts';

/** From the bottom up: the files of a folder import files of their own folder and of earlier folders. */
const FLOORS = ['model', 'payload', 'ports', 'options', 'handlers', 'run', 'work', 'pod', 'enqueue', 'calls'];

test('the folders of the core import each other in one order, with the engine on top', () => {
  const floorOf = (file: string) => {
    const [, folder = '', ...rest] = file.split('/');
    return rest.length === 0 ? FLOORS.length : FLOORS.indexOf(folder);
  };
  const ofCore = files.filter(file => file.startsWith('core/'));
  expect(ofCore.filter(file => floorOf(file) === -1)).toEqual([]);
  expect(ofCore.filter(file => floorOf(file) === FLOORS.length)).toEqual(['core/engine.ts']);
  const within = inside('core/').filter(({ to }) => to.startsWith('core/'));
  expect(within.filter(({ from, to }) => floorOf(from) < floorOf(to))).toEqual([]);
});

test('CONTRIBUTING.md lists every folder of the sources, those of the core in their order, and names no missing file', () => {
  const text = readFileSync('CONTRIBUTING.md', 'utf8');
  const listed = [...text.matchAll(/^\| `(src\/[\w/]+)\/` /gm)].map(([, folder = '']) => folder);
  const folders = new Set(files.map(file => dirname(join('src', file))).filter(folder => folder !== 'src'));
  expect([...listed].sort()).toEqual([...folders].filter(folder => folder !== 'src/store').sort());
  const ofCore = listed.filter(folder => folder.startsWith('src/core/')).map(folder => folder.split('/')[2]);
  expect(ofCore.reverse()).toEqual(FLOORS);
  const named = [...text.matchAll(/`((?:src|test|docs|scripts|benchmarks|examples)\/[\w./-]+)`/g)];
  expect(named.map(([, path = '']) => path).filter(path => !existsSync(path))).toEqual([]);
});

test("timers and clocks come from one file, so that an application's tests cannot fake them", () => {
  const names =
    'setTimeout|setInterval|setImmediate|clearTimeout|clearInterval|clearImmediate|queueMicrotask|performance';
  const uses = new RegExp(
    `(?<![.\\w'])(?:(?:${names})\\b|new Date\\(\\)|Date\\.now|process\\.(?:nextTick|hrtime)|AbortSignal\\.timeout)`,
    'g',
  );
  const code = (file: string) => readFileSync(join('src', file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const globals = files.flatMap(file => {
    const text = code(file);
    const taken = text.match(/import \{([^}]*)\} from '[./\w-]*\/own-timers\.js'/)?.[1]?.split(/,\s*/) ?? [];
    const used = [...text.matchAll(uses)].map(([use]) => use).filter(use => !taken.some(name => name.trim() === use));
    return file === OWN_TIMERS ? [] : used.map(use => `${file}: ${use}`);
  });
  expect(globals).toEqual([]);
  const others = imports.filter(({ from, to }) => /^(node:)?(timers|perf_hooks)/.test(to) && from !== OWN_TIMERS);
  expect(others).toEqual([]);
});

/** BullMQ's rule for patterns, which both stores follow. */
const PATTERNS = 'store/schedule-times.ts';
/** Used by both stores. */
const SHARED = [PATTERNS, 'store/assembled-store.ts', 'store/protocol-constants.ts'];

test('a store imports the core and itself, and only the Redis store knows BullMQ', () => {
  for (const store of ['store/redis/', 'store/memory/']) {
    const strangers = inside(store).filter(
      ({ to }) => to.endsWith('.ts') && !SHARED.includes(to) && !to.startsWith('core/') && !to.startsWith(store),
    );
    expect(strangers).toEqual([]);
  }
  const clients = imports.filter(
    ({ from, to }) => ['bullmq', 'ioredis', 'msgpackr'].includes(to) && !from.startsWith('store/redis/'),
  );
  // Their types are part of the public API.
  expect(clients.map(({ from }) => from).sort()).toEqual([
    'nest/bus/bus-options.ts',
    'nest/current-job.ts',
    'nest/operator/dead-letter-queue.ts',
    'nest/operator/entity-queues.ts',
    'nest/options/redis-options.ts',
    PATTERNS,
  ]);
});

test('no file imports the public entry point or itself', () => {
  expect(imports.filter(({ to }) => to === 'index.ts')).toEqual([]);
  const targets = new Map(files.map(file => [file, inside(file).map(({ to }) => to)]));
  const free = new Set<string>();
  const cycle = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (free.has(file)) return [];
    for (const next of targets.get(file) ?? []) {
      const found = targets.has(next) ? cycle(next, [...path, file]) : [];
      if (found.length > 0) return found;
    }
    free.add(file);
    return [];
  };
  expect(files.map(file => cycle(file, [])).filter(found => found.length > 0)).toEqual([]);
});

test('the table of transitions in docs/protocol.md equals the table in the code', () => {
  const rows = readFileSync('docs/protocol.md', 'utf8').matchAll(
    /^\| `(\w+)` +\| ([a-z, ]+?) +\| ([a-z]+) +\| .+ \|$/gm,
  );
  const told = [...rows].map(([, name, from, to]) => ({ name, from: from?.split(', '), to }));
  expect(told).toEqual(Object.entries(TRANSITIONS).map(([name, { from, to }]) => ({ name, from, to })));
});

test.each([
  ['README.md', 3],
  ['docs/api.md', 1],
  ['docs/configuration.md', 1],
  ['docs/errors.md', 1],
  ['docs/fencing.md', 4],
  ['docs/payloads.md', 5],
  ['docs/context.md', 5],
  ['docs/enqueueing.md', 4],
  ['docs/handling.md', 5],
  ['docs/operating.md', 2],
  ['docs/testing.md', 2],
])('the code of %s compiles against the built package', (document, atLeast) => {
  const folder = `build/code-of-${basename(document, '.md')}`;
  expect(writeBlocks(document, folder).length).toBeGreaterThanOrEqual(atLeast);
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { noEmit: true, noUnusedParameters: false },
    include: ['*.ts'],
    exclude: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { encoding: 'utf8' });
  expect(tsc.stdout).toBe('');
  expect(tsc.status).toBe(0);
});
