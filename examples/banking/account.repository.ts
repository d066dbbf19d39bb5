/**
 * Accounts in PostgreSQL, without a single lock: `take` reads, the handler decides, `save` writes what it computed.
 * Two of these at once on one account lose an update. Nothing here prevents it; the account's queue does.
 *
 * The fence is for the one case that no queue can prevent: a pod that froze in the middle of a handler, and wakes up when
 * another has its accounts. See docs/fencing.md.
 */
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { UnrecoverableError } from 'bullmq';
import type { Pool } from 'pg';
import { DATABASE, POD_NAME } from './tokens.js';

export interface Account {
  readonly id: string;
  readonly balance: number;
}

/** An account in the hands of a job. */
export interface TakenAccount extends Account {
  readonly closed: boolean;
  /** The job's fencing token. It fences this account only: a token says nothing about other entities. */
  readonly fence: string;
}

/** One line of the ledger: what an operation did to an account. */
export interface Entry {
  readonly operationId: string;
  readonly accountId: string;
  /** 0 where the operation was refused. */
  readonly amount: number;
}

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS accounts (
    id text PRIMARY KEY,
    balance bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    closed boolean NOT NULL DEFAULT false
  );
  CREATE TABLE IF NOT EXISTS ledger (
    operation_id text PRIMARY KEY,
    account_id text NOT NULL,
    amount bigint NOT NULL,
    pod text NOT NULL,
    at_ms bigint NOT NULL
  );`;

@Injectable()
export class AccountRepository implements OnModuleInit {
  constructor(
    @Inject(DATABASE) private readonly database: Pool,
    @Inject(POD_NAME) private readonly pod: string,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.database.query(SCHEMA);
  }

  /** An account without a row is empty. */
  async find(id: string): Promise<Account> {
    const { rows } = await this.database.query('SELECT balance FROM accounts WHERE id = $1', [id]);
    return { id, balance: Number(rows[0]?.balance ?? 0) };
  }

  /**
   * Reads an account for a job that is about to change it. The fence goes up with the read: what a zombie wrote before is
   * read, and what it would write after is refused.
   * @throws UnrecoverableError when a newer owner of the account has been here.
   */
  async take(id: string, fence: string): Promise<TakenAccount> {
    const { rows } = await this.database.query(
      `INSERT INTO accounts (id, balance, fence) VALUES ($1, 0, $2)
       ON CONFLICT (id) DO UPDATE SET fence = excluded.fence WHERE accounts.fence <= excluded.fence
       RETURNING balance, closed`,
      [id, fence],
    );
    if (!rows[0]) throw refused(id, fence);
    return { id, balance: Number(rows[0].balance), closed: rows[0].closed, fence };
  }

  /**
   * Writes the new balance and the ledger's entry, in one transaction (one statement is one).
   *
   * A job runs at least once: a pod that is killed between this write and the job's acknowledgement leaves the job to
   * another pod, which runs it again. The entry makes the second run change nothing.
   * @throws UnrecoverableError when a newer owner of the account has been here: nothing is written.
   */
  async save(
    { id, balance, fence }: Omit<TakenAccount, 'closed'>,
    { operationId, amount }: Omit<Entry, 'accountId'>,
  ): Promise<void> {
    const { rows } = await this.database.query(
      `WITH written AS (
         UPDATE accounts SET balance = $6, fence = $7
         WHERE id = $2 AND fence <= $7 AND NOT EXISTS (SELECT 1 FROM ledger WHERE operation_id = $1)
         RETURNING id
       )
       INSERT INTO ledger (operation_id, account_id, amount, pod, at_ms) SELECT $1, id, $3, $4, $5 FROM written
       RETURNING operation_id`,
      [operationId, id, amount, this.pod, Date.now(), balance, fence],
    );
    if (!rows[0] && !(await this.entry(operationId))) throw refused(id, fence);
  }

  /** @throws UnrecoverableError when a newer owner of the account has been here. */
  async close({ id, fence }: TakenAccount): Promise<void> {
    const { rows } = await this.database.query(
      'UPDATE accounts SET closed = true WHERE id = $1 AND fence <= $2 RETURNING id',
      [id, fence],
    );
    if (!rows[0]) throw refused(id, fence);
  }

  /**
   * Sees to it that an operation which has not been done never is: its line is written, with nothing in it.
   * @returns whether it has been done.
   */
  async refuse({ operationId, accountId }: Omit<Entry, 'amount'>): Promise<boolean> {
    await this.database.query(
      `INSERT INTO ledger (operation_id, account_id, amount, pod, at_ms) VALUES ($1, $2, 0, $3, $4)
       ON CONFLICT (operation_id) DO NOTHING`,
      [operationId, accountId, this.pod, Date.now()],
    );
    const entry = await this.entry(operationId);
    return entry !== undefined && entry.amount !== 0;
  }

  /** What an operation did, if it has been done: a second run of a handler goes on from there. */
  async entry(operationId: string): Promise<Entry | undefined> {
    const { rows } = await this.database.query('SELECT account_id, amount FROM ledger WHERE operation_id = $1', [
      operationId,
    ]);
    return rows[0] && { operationId, accountId: rows[0].account_id, amount: Number(rows[0].amount) };
  }
}

/** The newer owner has run this job, or will: trying again would be refused again. */
function refused(id: string, fence: string): UnrecoverableError {
  return new UnrecoverableError(`Account ${id} has a newer owner than ${fence}.`);
}
