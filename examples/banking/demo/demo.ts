/**
 * `npm run demo`: the banking example under fire. Starts what it needs, sends a stream of orders to three pods, kills one
 * of them half-way, and compares the balances with the ledger; then the same traffic without the queues.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startRedis } from '#dev-redis';
import { Audit } from './audit.js';
import { startDatabase } from './database.js';
import { ACCOUNTS, makeOrders } from './orders.js';
import { Pods } from './pods.js';
import { isCorrect, report } from './report.js';
import { POD_COUNT, run } from './run.js';

const orders = makeOrders(orderCount());
const pods = new Pods();
const started: { stop(): Promise<void> }[] = [];
// Everything ends here, once, with the first reason, also while a server is still starting: hence before they start.
// What still runs then fails, which is no news.
let ending: Promise<never> | undefined;
process.on('SIGINT', () => end(130));
process.on('SIGTERM', () => end(143));
process.on('uncaughtException', error => {
  if (!ending) process.stderr.write(`${error.stack}\n`);
  end(1);
});

process.stdout.write('Starting Redis and PostgreSQL …\n');
const redis = await startRedis();
started.push(redis);
const server = await startDatabase();
started.push(server);
const database = new pg.Pool({ connectionString: server.url, max: 4 });
started.push({ stop: () => database.end() });

const environment = {
  REDIS_URL: redis.url,
  DATABASE_URL: server.url,
  KEY_PREFIX: `demo-${randomBytes(4).toString('hex')}`,
};
process.stdout.write(`Redis: ${redis.host}:${redis.port} · database: ${server.kind} · `);
process.stdout.write(`${POD_COUNT} pods, ${ACCOUNTS.length} accounts, ${orders.length} orders
A handler reads a balance, checks it, and writes the new one, without a lock. First every account has its queue, and a
pod is killed half-way. Then the same orders run without the queues, and no pod is killed.\n\n`);
const common = { audit: new Audit(database), pods, orders };
const queued = await run({ ...common, title: 'with queues', environment, kill: true });
const direct = await run({
  ...common,
  title: 'without    ',
  environment: { ...environment, WITHOUT_QUEUES: '1' },
  kill: false,
});
process.stdout.write(report(queued, direct, process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined));
await end(isCorrect(queued) ? 0 : 1);

function orderCount(): number {
  const count = Number(process.env['ORDERS'] ?? 4000);
  // Fewer are through before a kill could hit anything: the demo would prove nothing, and say that all is well.
  if (Number.isSafeInteger(count) && count >= 1000) return count;
  throw new Error('ORDERS must be a whole number, 1000 or more.');
}

function end(code: number): Promise<never> {
  ending ??= cleanUp(code);
  return ending;
}

async function cleanUp(code: number): Promise<never> {
  pods.killAll();
  for (const { stop } of started.reverse()) await stop().catch(error => process.stderr.write(`${error.message}\n`));
  process.exit(code);
}
