/** The start of an application as a process of its own, which nothing but the library keeps alive: it never ends silently. */
import { spawn } from 'node:child_process';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';

const CLOSED_PORT = 'redis://127.0.0.1:1';

describe('a process whose only activity is', () => {
  const prefix = freshPrefix();

  afterAll(async () => {
    const redis = connect();
    await dropKeys(redis, prefix);
    redis.disconnect();
  });

  /** What the process printed, and how it ended. */
  async function run(what: string, settings: Readonly<Record<string, string>> = {}) {
    const env = {
      ...process.env,
      REDIS_URL: redisUrl(),
      KEY_PREFIX: prefix,
      NODE_OPTIONS: '',
      WHAT: what,
      ...settings,
    };
    const child = spawn(process.execPath, ['build/test/support/programs/start-up.js'], { env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (output += text));
    const code = await new Promise<number | null>(resolve => child.once('close', resolve));
    return { code, output, lines: output.split('\n') };
  }

  test('an enqueue that onModuleInit awaits: the job is added, and runs after the start', async () => {
    const { code, lines } = await run('enqueue in onModuleInit');
    expect(lines.slice(0, 2)).toEqual(['onModuleInit: fulfilled', 'started']);
    expect(lines).toContain('closed');
    expect(code).toBe(0);
  });

  test('an enqueue that a factory awaits: it rejects in the factory, and the start continues', async () => {
    const { code, lines } = await run('enqueue in a factory', { COMMAND_TIMEOUT_MS: '200' });
    expect(lines[0]).toMatch(
      /^factory: STORE_UNAVAILABLE: The application has not started within 200 ms\. Nothing was enqueued/,
    );
    expect(lines).toEqual(expect.arrayContaining(['started', 'enqueue: fulfilled', 'closed']));
    expect(code).toBe(0);
  });

  test.each(['onModuleInit', 'onApplicationBootstrap'])(
    'a wait for a result in %s: it rejects with the reason, and does not wait for its timeout',
    async name => {
      const { lines } = await run(`wait in ${name}`);
      expect(lines[0]).toMatch(
        new RegExp(
          `^${name}: NOT_STARTED: .*"account" only after all onApplicationBootstrap hooks.*Nothing was enqueued`,
        ),
      );
      expect(lines.slice(1)).toEqual(expect.arrayContaining(['started', 'closed']));
    },
  );

  test('a drain() of an entity with jobs in onApplicationBootstrap: it rejects with the reason', async () => {
    const { lines } = await run('drain in onApplicationBootstrap');
    expect(lines[0]).toMatch(/^onApplicationBootstrap: NOT_STARTED: /);
    expect(lines).toContain('closed');
  });

  test('an enqueue in onModuleInit without Redis: it rejects in time, and the application starts', async () => {
    const { lines } = await run('enqueue in onModuleInit', { REDIS_URL: CLOSED_PORT, COMMAND_TIMEOUT_MS: '200' });
    expect(lines).toContainEqual(expect.stringMatching(/^onModuleInit: STORE_UNAVAILABLE: /));
    expect(lines).toEqual(expect.arrayContaining(['started', 'closed']));
  });

  test('an ioredis instance that can never connect: the start fails, and names the option', async () => {
    const { code, lines } = await run('an instance with the port NaN');
    expect(lines).toContainEqual(expect.stringMatching(/^failed: INVALID_OPTION: .*ioredis instance: port/));
    expect(code).toBe(1);
  });

  test('a connection that can never be made: the start fails with the reason', async () => {
    const { code, lines } = await run('TLS options that Node refuses');
    expect(lines).toContainEqual(
      expect.stringMatching(/^failed: STORE_UNAVAILABLE: No connection to Redis can be made/),
    );
    expect(code).toBe(1);
  });

  test('the bare class among the imports: the start fails, and says what to import', async () => {
    const { code, lines } = await run('the bare class');
    expect(lines).toContainEqual(expect.stringMatching(/^failed: INVALID_OPTION: .*AtomicQueuesModule\.forRoot\(/));
    expect(code).toBe(1);
  });

  test('an application with lazyConnect that needs no Redis: it starts, closes and ends, and does not mention Redis', async () => {
    const settings = { REDIS_URL: CLOSED_PORT, LAZY_CONNECT: '1', COMMAND_TIMEOUT_MS: '60000' };
    expect(await run('nothing but start and end', settings)).toMatchObject({ code: 0, output: 'started\nclosed\n' });
  });

  test('an application without Redis: its start does not wait for commandTimeoutMs, and says what is missing', async () => {
    const settings = { REDIS_URL: CLOSED_PORT, COMMAND_TIMEOUT_MS: '60000' };
    const { code, lines } = await run('nothing but start and end', settings);
    expect(lines).toContainEqual(
      expect.stringMatching(/Redis can't be reached \(.*ECONNREFUSED.*\)\. The application starts without it/),
    );
    expect(lines).toEqual(expect.arrayContaining(['started', 'closed']));
    expect(code).toBe(0);
  });
});
