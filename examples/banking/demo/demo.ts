/**
 * `npm run demo`: the banking example under fire. Starts what it needs, sends a stream of orders to three pods, kills one
 * of them half-way, and compares the balances with the ledger; then the same traffic without the queues.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startRedis } from '#dev-redis';
import { startDatabase } from './database.js';
import { Pods } from './pods.js';
import { makeOrders, type Result, run } from './run.js';

const ORDERS = Number(process.env['ORDERS'] ?? 4000);

const redis = await startRedis();
const server = await startDatabase();
const database = new pg.Pool({ connectionString: server.url, max: 4 });
const pods = new Pods();
process.once('SIGINT', () => void cleanUp(130));
process.once('SIGTERM', () => void cleanUp(143));
process.once('uncaughtException', error => {
  process.stderr.write(`${error.stack}\n`);
  void cleanUp(1);
});

const environment = {
  REDIS_URL: redis.url,
  DATABASE_URL: server.url,
  KEY_PREFIX: `demo-${randomBytes(4).toString('hex')}`,
};
process.stdout.write(`Redis: ${redis.url} · database: ${server.kind} · 3 pods, 20 accounts, ${ORDERS} orders\n\n`);
const common = { database, pods, orders: makeOrders(ORDERS) };
const queued = await run({ ...common, title: 'with atomic-queues   ', environment, kill: true });
const direct = await run({
  ...common,
  title: 'without, for contrast',
  environment: { ...environment, WITHOUT_QUEUES: '1' },
  kill: false,
});

process.stdout.write('\n');
console.table({ 'with atomic-queues': row(queued), 'without, for contrast': row(direct) });
const correct = queued.drift === 0 && queued.missing === 0;
process.stdout.write(
  correct
    ? '\nEvery acknowledged order is in the ledger, once, and every balance agrees with it, although a pod was killed.\n'
    : '\nFAILED: the balances do not agree with the ledger.\n',
);
await cleanUp(correct ? 0 : 1);

function row({ orders, perSecond, pods: worked, takeoverMs, drift, missing }: Result) {
  return {
    orders,
    'orders/s': perSecond,
    'pods that worked': worked,
    'takeover (ms)': takeoverMs ?? '–',
    'balance drift': drift,
    'orders missing': missing,
  };
}

async function cleanUp(code: number): Promise<never> {
  pods.killAll();
  await database.end().catch(() => {});
  server.stop();
  await redis.stop();
  process.exit(code);
}
