/** One run: the same traffic, through the queues or without them; and what the ledger says afterwards. */
import { randomUUID } from 'node:crypto';
import { SingleBar } from 'cli-progress';
import type pg from 'pg';
import { SCHEMA } from '../account.repository.js';
import { type Order, Pods } from './pods.js';

export interface Result {
  readonly orders: number;
  readonly perSecond: number;
  readonly pods: number;
  /** From the kill until the last account of the killed pod was worked by another; undefined where none was killed. */
  readonly takeoverMs: number | undefined;
  /** Sum over all accounts of |balance − what the ledger says|. */
  readonly drift: number;
  /** Orders that were acknowledged and left no entry. */
  readonly missing: number;
}

export interface RunSettings {
  readonly title: string;
  readonly database: pg.Pool;
  readonly pods: Pods;
  readonly orders: readonly Order[];
  readonly environment: Record<string, string>;
  /** Kills one of the pods half-way. */
  readonly kill: boolean;
}

export const ACCOUNTS = Array.from({ length: 20 }, (_, index) => `account-${index + 1}`);
const INITIAL_BALANCE = 1_000_000;
const POD_COUNT = 3;
const IN_FLIGHT = 100;

export function makeOrders(count: number): Order[] {
  return Array.from({ length: count }, (_, index) => {
    const accountId = ACCOUNTS[index % ACCOUNTS.length] ?? '';
    const to = ACCOUNTS[(index * 7 + 3) % ACCOUNTS.length] ?? '';
    const amount = 1 + (index % 50);
    const kind = (['withdraw', 'transfer', 'withdraw', 'deposit', 'withdraw'] as const)[index % 5] ?? 'withdraw';
    return {
      kind: kind === 'transfer' && to === accountId ? 'withdraw' : kind,
      accountId,
      amount,
      operationId: randomUUID(),
      to,
    };
  });
}

export async function run({ title, database, pods, orders, environment, kill }: RunSettings): Promise<Result> {
  await database.query(`DROP TABLE IF EXISTS accounts, ledger; ${SCHEMA}`);
  for (const id of ACCOUNTS) await database.query('INSERT INTO accounts VALUES ($1, $2)', [id, INITIAL_BALANCE]);
  await pods.start(POD_COUNT, environment);
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total} orders`,
    noTTYOutput: true,
    notTTYSchedule: 5000,
  });
  bar.start(orders.length, 0);
  const startedAt = Date.now();
  let sent = 0;
  let killed: { name: string; at: number } | undefined;
  const next = orders[Symbol.iterator]();
  const client = async () => {
    for (const order of next) {
      await pods.send(order);
      bar.update(++sent);
      if (kill && !killed && sent >= orders.length / 2) {
        const name = 'pod-2';
        killed = { name, at: pods.kill(name) };
      }
    }
  };
  // The pod that sees an account's first order works it: one by one at first, so that each pod gets its share.
  for (const order of orders.slice(0, 3 * ACCOUNTS.length)) {
    await pods.send(order);
    next.next();
    bar.update(++sent);
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  await allSettled(database, orders);
  const seconds = (Date.now() - startedAt) / 1000;
  bar.stop();
  await pods.stop();
  return {
    orders: orders.length,
    perSecond: Math.round(orders.length / seconds),
    pods: Number((await one(database, 'SELECT count(DISTINCT pod) AS value FROM ledger')) ?? 0),
    takeoverMs: killed && (await takeover(database, killed)),
    drift: Number(
      await one(
        database,
        `SELECT sum(abs(balance - ${INITIAL_BALANCE} - coalesce((SELECT sum(amount) FROM ledger WHERE account_id = id), 0))) AS value FROM accounts`,
      ),
    ),
    missing: expectedEntries(orders) - (await entries(database)),
  };
}

/** Deposits and withdrawals leave one entry, transfers two (no account of the demo runs dry). */
function expectedEntries(orders: readonly Order[]): number {
  return orders.reduce((sum, { kind }) => sum + (kind === 'transfer' ? 2 : 1), 0);
}

async function entries(database: pg.Pool): Promise<number> {
  return Number(await one(database, 'SELECT count(*) AS value FROM ledger'));
}

/** Waits until every order has its entries, or nothing has changed for ten seconds. */
async function allSettled(database: pg.Pool, orders: readonly Order[]): Promise<void> {
  const expected = expectedEntries(orders);
  let last = { count: -1, at: Date.now() };
  for (;;) {
    const count = await entries(database);
    if (count >= expected || (count === last.count && Date.now() - last.at > 10_000)) return;
    if (count !== last.count) last = { count, at: Date.now() };
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

async function takeover(database: pg.Pool, { name, at }: { name: string; at: number }): Promise<number> {
  const value = await one(
    database,
    `SELECT max(first.at_ms) - $2 AS value
     FROM (SELECT DISTINCT ON (account_id) account_id, pod FROM ledger WHERE at_ms <= $2 ORDER BY account_id, at_ms DESC) owner
     JOIN LATERAL (SELECT min(at_ms) AS at_ms FROM ledger WHERE account_id = owner.account_id AND pod <> $1 AND at_ms > $2) first ON true
     WHERE owner.pod = $1`,
    [name, at],
  );
  return Number(value ?? 0);
}

async function one(database: pg.Pool, sql: string, values: unknown[] = []): Promise<unknown> {
  const { rows } = await database.query(sql, values);
  return rows[0]?.value;
}
