/**
 * A PostgreSQL for the demo: the one of DATABASE_URL, or PGlite (PostgreSQL in WebAssembly) behind a socket, in a process
 * of its own. PGlite runs one statement at a time, which is all that the example asks of it.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

export interface DemoDatabase {
  readonly url: string;
  readonly kind: string;
  stop(): void;
}

export async function startDatabase(): Promise<DemoDatabase> {
  const given = process.env['DATABASE_URL'];
  if (given) return { url: given, kind: 'PostgreSQL of DATABASE_URL', stop: () => {} };
  const child = fork(new URL(import.meta.url), ['serve'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [url] = await once(child, 'message');
  return { url: String(url), kind: 'PGlite', stop: () => void child.kill('SIGKILL') };
}

if (process.argv[2] === 'serve') {
  const server = new PGLiteSocketServer({ db: await PGlite.create(), port: 0, host: '127.0.0.1', maxConnections: 64 });
  await server.start();
  process.once('disconnect', () => process.exit());
  process.send?.(`postgres://postgres:postgres@${server.getServerConn()}/postgres?sslmode=disable`);
}
