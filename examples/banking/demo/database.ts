/**
 * A PostgreSQL for the demo: a schema of its own in the one of DATABASE_URL, or PGlite (PostgreSQL in WebAssembly) behind
 * a socket, in a process of its own.
 *
 * PGlite has one session, which all connections share: it runs one statement at a time, each to its end. The example
 * needs no more, since it has no transaction of several statements; what lies between a read and a write is as open to
 * others as in a PostgreSQL server.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';

export interface DemoDatabase {
  readonly url: string;
  readonly kind: string;
  stop(): Promise<void>;
}

export function startDatabase(): Promise<DemoDatabase> {
  const given = process.env['DATABASE_URL'];
  return given ? schemaIn(given) : startPGlite();
}

/** Never uses tables that are there already: they may hold real accounts. */
async function schemaIn(server: string): Promise<DemoDatabase> {
  const schema = `banking_demo_${randomBytes(4).toString('hex')}`;
  await execute(server, `CREATE SCHEMA ${schema}`);
  const url = new URL(server);
  url.searchParams.set('options', `-c search_path=${schema}`);
  return {
    url: url.href,
    kind: 'PostgreSQL of DATABASE_URL',
    stop: () => execute(server, `DROP SCHEMA ${schema} CASCADE`),
  };
}

async function execute(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function startPGlite(): Promise<DemoDatabase> {
  const child = fork(new URL(import.meta.url), ['serve'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  // While it starts it is deaf, for seconds: the demo may end before it could hear of it.
  process.once('exit', () => child.kill('SIGKILL'));
  const [url] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`PGlite ended at start with code ${code}`);
    }),
  ]);
  return { url: String(url), kind: 'PGlite', stop: async () => void child.kill('SIGKILL') };
}

if (process.argv[2] === 'serve') {
  process.once('disconnect', () => process.exit());
  // Ctrl-C reaches all processes of the terminal; the demo decides when its database ends.
  process.on('SIGINT', () => {});
  const server = new PGLiteSocketServer({ db: await PGlite.create(), port: 0, host: '127.0.0.1', maxConnections: 64 });
  await server.start();
  if (process.connected)
    process.send?.(`postgres://postgres:postgres@${server.getServerConn()}/postgres?sslmode=disable`);
}
