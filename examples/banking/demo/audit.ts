/**
 * What the database says about a run: the demo believes no pod, only the ledger, which a handler writes in the same
 * transaction as the balance.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { SCHEMA } from '../account.repository.js';
import { creditOf, refundOf } from '../commands.js';
import { ACCOUNTS, CLOSED_ACCOUNT, INITIAL_BALANCE, type Order } from './orders.js';

const GIVE_UP_AFTER_MS = 10_000;
/** Reading the ledger takes the database's time, which the run needs. */
const LOOK_EVERY_MS = 500;

interface Line {
  readonly account_id: string;
  readonly amount: number;
}

export class Audit {
  constructor(private readonly database: pg.Pool) {}

  /** Empty ledger, every account with its initial balance. */
  async reset(): Promise<void> {
    await this.database.query(`DROP TABLE IF EXISTS accounts, ledger; ${SCHEMA}`);
    // Within an account, the order in which its lines were written.
    await this.database.query('ALTER TABLE ledger ADD COLUMN line bigserial');
    await this.database.query(
      'INSERT INTO accounts (id, balance, closed) SELECT id, $2, id = $3 FROM unnest($1::text[]) AS id',
      [[...ACCOUNTS, CLOSED_ACCOUNT], INITIAL_BALANCE, CLOSED_ACCOUNT],
    );
  }

  /**
   * Resolves when all orders are done, or when nothing has happened for a while: `missing` then says what is not.
   * @param onProgress gets the number of orders that are done, now and then
   */
  async settled(orders: readonly Order[], onProgress: (done: number) => void): Promise<void> {
    let last = { lines: -1, at: Date.now() };
    for (;;) {
      const ledger = await this.ledger();
      const done = orders.filter(order => isDone(order, ledger)).length;
      onProgress(done);
      if (done === orders.length) return;
      if (ledger.size !== last.lines) last = { lines: ledger.size, at: Date.now() };
      else if (Date.now() - last.at > GIVE_UP_AFTER_MS) return;
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** How many orders have not exactly the lines that they must have, plus the lines that no order explains. */
  async missing(orders: readonly Order[]): Promise<number> {
    const ledger = await this.ledger();
    const wrong = orders.filter(order => !isDone(order, ledger));
    const explained = orders.flatMap(({ operationId: id }) =>
      [id, creditOf(id), refundOf(id)].filter(line => ledger.has(line)),
    );
    return wrong.length + (ledger.size - explained.length);
  }

  /** Sum over all accounts of |balance − (initial balance + what the ledger says was applied)|. */
  drift(): Promise<number> {
    return this.number(
      `SELECT sum(abs(balance - $1 - coalesce((SELECT sum(amount) FROM ledger WHERE account_id = id), 0))) FROM accounts`,
      [INITIAL_BALANCE],
    );
  }

  /** Debits after which the lines of the ledger so far say that the account has less than nothing. */
  wrongPayments(): Promise<number> {
    return this.number(
      `SELECT count(*) FROM (
         SELECT amount, $1 + sum(amount) OVER (PARTITION BY account_id ORDER BY line) AS balance FROM ledger
       ) entry WHERE amount < 0 AND balance < 0`,
      [INITIAL_BALANCE],
    );
  }

  /** When the last order was done, in ms since 1970. */
  lastLineAt(): Promise<number> {
    return this.number('SELECT max(at_ms) FROM ledger');
  }

  /** Orders that found too little money. */
  refused(): Promise<number> {
    return this.number("SELECT count(*) FROM ledger WHERE amount = 0 AND operation_id NOT LIKE '%-credit'");
  }

  /** Transfers whose credit has failed. */
  refunded(): Promise<number> {
    return this.number("SELECT count(*) FROM ledger WHERE operation_id LIKE '%-refund'");
  }

  podsThatWorked(): Promise<number> {
    return this.number('SELECT count(DISTINCT pod) FROM ledger');
  }

  /** The pod that works the most accounts now, and how many. */
  async busiestPod(): Promise<{ pod: string; accounts: number }> {
    const { rows } = await this.database.query(
      `SELECT pod, count(*)::int AS accounts FROM (SELECT DISTINCT ON (account_id) pod FROM ledger ORDER BY account_id, at_ms DESC) owner
       GROUP BY pod ORDER BY count(*) DESC LIMIT 1`,
    );
    return rows[0];
  }

  /** From the kill of a pod until the last of its accounts was worked by another: the longest silence, in ms. */
  takeover(pod: string, killedAt: number): Promise<number> {
    return this.number(
      `SELECT max(first.at_ms) - $2
       FROM (
         SELECT DISTINCT ON (account_id) account_id, pod FROM ledger WHERE at_ms <= $2 ORDER BY account_id, at_ms DESC
       ) owner
       JOIN LATERAL (
         SELECT min(at_ms) AS at_ms FROM ledger WHERE account_id = owner.account_id AND pod <> $1 AND at_ms > $2
       ) first ON true
       WHERE owner.pod = $1`,
      [pod, killedAt],
    );
  }

  private async ledger(): Promise<ReadonlyMap<string, Line>> {
    const { rows } = await this.database.query('SELECT operation_id, account_id, amount::int FROM ledger');
    return new Map(rows.map(row => [row.operation_id, row]));
  }

  private async number(sql: string, values: unknown[] = []): Promise<number> {
    const { rows } = await this.database.query({ text: sql, values, rowMode: 'array' });
    return Number(rows[0]?.[0] ?? 0);
  }
}

/** Whether an order left its one line, and a transfer that was paid also the credit, or, to a closed account, the refund. */
function isDone({ kind, accountId, amount, operationId, to }: Order, ledger: ReadonlyMap<string, Line>): boolean {
  const has = (operation: string, account: string | undefined, sum: number) => {
    const line = ledger.get(operation);
    return line?.account_id === account && line?.amount === sum;
  };
  if (kind === 'deposit') return has(operationId, accountId, amount);
  const [credit, refund] = [creditOf(operationId), refundOf(operationId)];
  if (has(operationId, accountId, 0)) return !ledger.has(credit) && !ledger.has(refund);
  if (!has(operationId, accountId, -amount)) return false;
  if (kind === 'withdraw') return true;
  if (to === CLOSED_ACCOUNT) return has(credit, to, 0) && has(refund, accountId, amount);
  return has(credit, to, amount) && !ledger.has(refund);
}
