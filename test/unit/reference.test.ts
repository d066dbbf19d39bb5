/**
 * The reference pages (`docs/api.md`, `docs/configuration.md`, `docs/errors.md`, the events of `docs/operating.md`) compared with the
 * code: an export, an option, an error or an event that is missing in a page or in the code fails here. So does a type, a default or a code that differs.
 */
import { readFileSync } from 'node:fs';
import { BELOW_MODULE, ENGINE_KEYS } from '../../src/core/options/checks.js';
import { resolveOptions } from '../../src/core/options/resolve.js';
import { retryDelayMs } from '../../src/core/run/retry.js';
import * as library from '../../src/index.js';
import { AtomicQueuesError } from '../../src/index.js';
import { errorClasses, exportsOf, membersOf } from '../support/declarations.js';

/** The rows of a page's tables below a heading, or of all its tables, as the texts of their cells. */
function rowsOf(page: string, heading?: string): readonly (readonly string[])[] {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  const [, section] = heading === undefined ? ['', text] : text.split(new RegExp(`^#+ ${heading}$`, 'm'));
  if (section === undefined) throw new Error(`${page} has no heading "${heading}".`);
  const lines = (heading === undefined ? section : section.split(/^#/m)[0])?.match(/^\|.*\|$/gm) ?? [];
  return lines.map(line =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map(cell => cell.trim().replaceAll('\\|', '|')),
  );
}

/** The names in the first cells of rows: `name`, or `name()`. */
const namesIn = (rows: readonly (readonly string[])[]) =>
  rows.flatMap(([first = '']) => [...first.matchAll(/`([\w$]+)(?:\(\))?`/g)].map(([, name = '']) => name));

const plain = (cell = '') => cell.replace(/^`(.*)`$/, '$1').replaceAll('`', '');
const sorted = (names: Iterable<string>) => [...names].sort();

const MODULE = 'src/nest/options/module-options.ts';
const OPTIONS = 'src/core/options/options.ts';
const BUS = 'src/nest/bus/bus-options.ts';
const SCHEMA = ['src/core/handlers/validation.ts', 'SchemaOptions'] as const;

type Declared = readonly [file: string, name: string];

/** The headings of `docs/configuration.md`, and the interfaces whose members their tables list. */
const TABLES: Readonly<Record<string, readonly Declared[]>> = {
  Module: [
    [MODULE, 'AtomicQueuesModuleOptions'],
    [OPTIONS, 'EngineOptions'],
  ],
  'Worker options': [[OPTIONS, 'WorkerOptions']],
  'Entity options': [[OPTIONS, 'EntityOptions']],
  'Rate limit': [[OPTIONS, 'RateLimit']],
  Context: [['src/core/payload/caller-context.ts', 'ContextOptions']],
  Processors: [['src/nest/decorators/metadata.ts', 'WorkerProcessorOptions']],
  Commands: [['src/nest/decorators/queue-entity.decorator.ts', 'QueueEntityOptions'], SCHEMA],
  'Job handlers': [['src/nest/decorators/job-handler.decorator.ts', 'JobHandlerOptions'], SCHEMA],
  'Batch handlers': [['src/core/handlers/batch-options.ts', 'BatchOptions'], SCHEMA],
  'Wait options': [[BUS, 'WaitOptions']],
  'Flow options': [[BUS, 'FlowNodeOptions']],
  'Schedule options': [['src/core/model/schedule.ts', 'Schedule']],
  'Encryption options': [['src/core/payload/encrypted-codec.ts', 'Encryption']],
};

describe('docs/configuration.md', () => {
  const page = 'docs/configuration.md';

  test.each(Object.entries(TABLES))(
    'lists the options below "%s" with the types and defaults of the code',
    (heading, interfaces) => {
      const members = interfaces.flatMap(([file, name]) => membersOf(file, name));
      const inCode = new Map<string, readonly string[]>();
      for (const { name, type, default: value } of members)
        if (!inCode.has(name)) inCode.set(name, [name, type, plain(value)]);
      const told = rowsOf(page, heading).slice(2);
      expect(sorted(told.map(([name, type, value]) => [name, type, value].map(plain).join(' · ')))).toEqual(
        sorted([...inCode.values()].map(cells => cells.join(' · '))),
      );
      expect(told.filter(cells => (cells[3] ?? '') === '')).toEqual([]);
    },
  );

  test('lists the options that the checks of the module, workers and entity types know', () => {
    const [workers, entities] = BELOW_MODULE;
    expect(namesIn(rowsOf(page, 'Module'))).toEqual(expect.arrayContaining([...ENGINE_KEYS]));
    expect(sorted(namesIn(rowsOf(page, 'Worker options')))).toEqual(sorted(workers?.names ?? []));
    expect(sorted(namesIn(rowsOf(page, 'Entity options')))).toEqual(sorted(entities?.names ?? []));
  });

  test('says which options a type can override in its workerConfig', () => {
    const [, text = ''] = readFileSync(OPTIONS, 'utf8').match(/type WorkerConfig = Pick<([\s\S]*?)>;/) ?? [];
    const overridable = [...text.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
    const told = rowsOf(page, 'Worker options').filter(cells => cells[4] === 'yes');
    expect(sorted(namesIn(told))).toEqual(sorted(overridable));
  });

  test('lists the defaults that the engine uses', () => {
    const { codecs: _, entityType, ...config } = resolveOptions({ enableCronManager: true });
    const type = entityType('account');
    const used: Readonly<Record<string, unknown>> = {
      heartbeatTtlMs: config.leaseMs,
      heartbeatTTL: config.leaseMs / 1000,
      stalledIntervalMs: config.sweepMs,
      stalledInterval: config.sweepMs,
      eventLoopBlockLimitMs: config.eventLoopBlockLimitMs,
      lockDurationMs: type.lockDurationMs,
      lockDuration: type.lockDurationMs,
      concurrency: type.concurrency,
      prefetch: type.prefetch,
      maxStalledCount: type.maxStalledCount,
      unknownJobGraceMs: type.unknownJobGraceMs,
      slowHandlerWarnMs: type.slowHandlerWarnMs,
      handlerTimeoutMs: type.handlerTimeoutMs,
      idleTimeoutMs: type.idleTimeoutMs,
      idleTimeoutSeconds: type.idleTimeoutMs / 1000,
      maxWorkersPerEntity: type.maxWorkers,
      maxSharedReads: resolveOptions({}, new Set(['account'])).entityType('account').maxReads,
      ordering: `'${type.ordering}'`,
      onExhausted: `'${type.onExhausted}'`,
      shutdownTimeoutMs: config.shutdownTimeoutMs,
      currentJob: config.currentJob,
      failureStackFrames: config.failureStackFrames,
      producerOnly: config.producerOnly,
      discoveryIntervalMs: config.discoveryMs,
      cronIntervalMs: config.scaleEveryMs,
      cronInterval: config.scaleEveryMs,
    };
    const told = ['Module', 'Worker options', 'Entity options'].flatMap(heading => rowsOf(page, heading));
    const defaultOf = new Map(told.map(([name, , value]) => [plain(name), plain(value)]));
    expect(Object.keys(used).map(name => [name, defaultOf.get(name)])).toEqual(
      Object.entries(used).map(([name, value]) => [name, String(value)]),
    );
    const ofModule = rowsOf(page, 'Module').map(([name, , value]) => [plain(name), plain(value)]);
    expect(Object.fromEntries(ofModule)).toMatchObject({
      maxPayloadBytes: String(type.maxPayloadBytes),
      maxResultBytes: String(type.maxResultBytes),
    });
  });

  test('lists the options of an enqueue: those of this library, and the job options of BullMQ that it supports or refuses', () => {
    const source = readFileSync('src/core/options/job-options.ts', 'utf8');
    const listed = (from: string) =>
      [...(source.split(from)[1]?.split(/\n[\])}]/)[0] ?? '').matchAll(/^ {2}'?(\w+)'?[,:]/gm)].map(([, name]) => name);
    const honoured = listed('const HONOURED');
    expect(honoured.length).toBeGreaterThan(10);
    const own = membersOf(BUS, 'EnqueueOptions');
    const rows = rowsOf(page, 'Enqueue options');
    expect(sorted(namesIn(rows))).toEqual(sorted([...own.map(({ name }) => name), ...(honoured as string[])]));
    for (const { name, type, default: value } of own)
      expect(
        rows
          .find(([first]) => plain(first) === name)
          ?.slice(1, 3)
          .map(plain),
      ).toEqual([type, value]);
    const refused = listed('const ELSEWHERE');
    expect(refused.length).toBeGreaterThan(4);
    const text = readFileSync(page, 'utf8');
    expect(refused.filter(name => !text.includes(`\`${name}\``))).toEqual([]);
  });

  test('lists the options of a Redis server and of sentinels', () => {
    const source = readFileSync('src/nest/options/redis-options.ts', 'utf8');
    const names = (list: string) =>
      [...(source.match(new RegExp(`const ${list} = \\[([^\\]]*)\\]`))?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
        ([, name = '']) => name,
      );
    expect(names('COMMON').length + names('OF_SERVER').length + names('OF_SENTINELS').length).toBeGreaterThan(12);
    expect(sorted(namesIn(rowsOf(page, 'Redis')))).toEqual(
      sorted([...names('COMMON'), ...names('OF_SERVER'), ...names('OF_SENTINELS')]),
    );
  });

  test('lists the environment variables that the library reads', () => {
    const source = readFileSync('src/nest/system.ts', 'utf8');
    const [, list = ''] = source.match(/const TEST_RUNNERS = \[(.*)\]/) ?? [];
    const read = [...list.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
    expect(read.length).toBeGreaterThan(0);
    expect(sorted(namesIn(rowsOf(page, 'Environment variables')))).toEqual(sorted(read));
  });
});

describe('docs/operating.md', () => {
  test('lists every lifecycle event, once each, and nothing else', () => {
    const source = readFileSync('src/core/model/events.ts', 'utf8');
    const emitted = [...source.matchAll(/readonly type: '([\w.]+)'/g)].map(([, type = '']) => type);
    expect(emitted.length).toBeGreaterThan(10);
    const told = rowsOf('docs/operating.md', 'Events').slice(2);
    expect(sorted(told.map(([type]) => plain(type)))).toEqual(sorted(emitted));
  });
});

const exported = exportsOf('src/index.ts');
const errors = errorClasses();
const isExportedError = (name: string) => exported.includes(name) && errors.some(error => error.name === name);

describe('docs/api.md', () => {
  const page = 'docs/api.md';
  const isOfMember = ([, of = '']: readonly string[]) => /^`\w+`$/.test(of);
  const rows = rowsOf(page);

  test('lists every export of the package except errors, once each, and nothing else', () => {
    const listed = namesIn(rows.filter(cells => !isOfMember(cells)));
    const expected = exported.filter(name => name !== 'AtomicQueuesError' && !isExportedError(name));
    expect(expected.length).toBeGreaterThan(70);
    expect(sorted(listed)).toEqual(sorted(expected));
    expect(rows.filter(cells => cells.at(-1) === '')).toEqual([]);
  });

  test.each([
    ['src/core/model/job.ts', 'EntityContext'],
    ['src/core/model/job.ts', 'JobContext'],
    ['src/nest/bus/queue-bus.ts', 'QueueBus'],
    ['src/nest/operator/entity-queues.ts', 'EntityQueues'],
    ['src/nest/operator/entity-queues.ts', 'EntityQueue'],
    ['src/nest/operator/entity-queues.ts', 'EntityTypeQueues'],
    ['src/nest/operator/dead-letter-queue.ts', 'DeadLetterQueue'],
    ['src/nest/events.ts', 'AtomicQueuesEvents'],
    ['src/nest/operator/spawn-queue.service.ts', 'SpawnQueueService'],
    ['src/nest/operator/cron-manager.service.ts', 'CronManagerService'],
  ])('lists the members that %s declares for %s', (file, name) => {
    const listed = rows.filter(([, of]) => of === `\`${name}\``);
    const ofNest = ['onApplicationShutdown'];
    const declared = membersOf(file, name).filter(member => !ofNest.includes(member.name));
    expect(declared.length).toBeGreaterThan(0);
    expect(sorted(namesIn(listed))).toEqual(sorted(declared.map(member => member.name)));
  });

  test('says which methods of QueueBus a ScopedQueueBus lacks', () => {
    const scoped = membersOf(BUS, 'ScopedQueueBus').map(({ name }) => name);
    const lacking = membersOf('src/nest/bus/queue-bus.ts', 'QueueBus').filter(({ name }) => !scoped.includes(name));
    const [row] = rows.filter(([first]) => first === '`ScopedQueueBus`');
    expect([...(row?.[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(lacking.map(({ name }) => name));
  });
});

describe('docs/errors.md', () => {
  const page = 'docs/errors.md';
  const rows = rowsOf(page).filter(([, code = '']) => /^`[A-Z_]+`$/.test(code));
  const concrete = errors.filter(({ isAbstract }) => !isAbstract);

  test('lists every error class with its code, and nothing else', () => {
    expect(concrete.length).toBeGreaterThan(30);
    expect(concrete.filter(({ code }) => code === undefined)).toEqual([]);
    const listed = new Set(rows.map(([name, code]) => `${plain(name)} ${plain(code)}`));
    expect(sorted(listed)).toEqual(sorted(concrete.map(({ name, code }) => `${name} ${code}`)));
    expect(rows.filter(cells => cells.includes(''))).toEqual([]);
  });

  test('says which error classes are not exported', () => {
    const hidden = concrete.filter(({ name }) => !exported.includes(name)).map(({ name }) => name);
    const told = rows.filter(cells => cells.at(-1)?.includes('Not exported')).map(([name]) => plain(name));
    expect(told).toEqual(hidden);
    for (const { name } of concrete) if (!hidden.includes(name)) expect(library).toHaveProperty(name);
  });

  test('says for each error derived from NotExecutedError that nothing was written', () => {
    const sure = concrete.filter(({ base }) => base === 'NotExecutedError').map(({ name }) => name);
    expect(sure.length).toBeGreaterThan(5);
    const invalid = new Set(namesIn(rowsOf(page, 'Invalid calls')));
    const atStart = new Set(namesIn(rowsOf(page, 'Start')));
    const written = new Map(rows.map(([name, , , cell]) => [plain(name), cell]));
    const unsure = sure.filter(
      name => !invalid.has(name) && !atStart.has(name) && !/^nothing/.test(written.get(name) ?? ''),
    );
    expect(unsure).toEqual([]);
  });

  test('says for each reason of a failed job whether its attempts apply, as the engine decides', () => {
    const told = rowsOf(page, 'Reasons of failed jobs').slice(2);
    expect(told.length).toBeGreaterThan(8);
    const job = { attemptsMade: 0, options: { attempts: 2 } } as unknown as Parameters<typeof retryDelayMs>[0];
    for (const [name = '', code = '', , , attempts] of told) {
      const error = Object.assign(new AtomicQueuesError(plain(code), 'failed'), { stage: 'run' });
      expect([name, attempts !== 'no']).toEqual([name, retryDelayMs(job, error) !== undefined]);
    }
  });
});
