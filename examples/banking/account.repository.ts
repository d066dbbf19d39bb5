/**
 * Accounts in PostgreSQL, without a single lock: `find` reads, the handler decides, `save` writes what it computed.
 * Two of these at once on one account lose an update. Nothing here prevents it; the account's queue does.
 */
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Pool } from 'pg';
import { DATABASE, POD_NAME } from './tokens.js';

export interface Account {
  readonly id: string;
  readonly balance: number;
}

/** One line of the ledger: what an operation did to an account. */
export interface Entry {
  readonly operationId: string;
  readonly accountId: string;
  /** 0 where the operation was refused. */
  readonly amount: number;
}

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS accounts (id text PRIMARY KEY, balance bigint NOT NULL);
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

  /** An account that nobody has used yet is an empty one. */
  async find(id: string): Promise<Account> {
    const { rows } = await this.database.query('SELECT balance FROM accounts WHERE id = $1', [id]);
    return { id, balance: Number(rows[0]?.balance ?? 0) };
  }

  /**
   * Writes the new balance and the ledger's entry, in one transaction (one statement is one).
   *
   * A job runs at least once: a pod that is killed between this write and the job's acknowledgement leaves the job to
   * another pod, which runs it again. The entry's key makes the second run change nothing: no entry is inserted, so no
   * balance is written.
   */
  async save(balance: number, { operationId, accountId, amount }: Entry): Promise<void> {
    await this.database.query(
      `WITH entry AS (
         INSERT INTO ledger (operation_id, account_id, amount, pod, at_ms)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (operation_id) DO NOTHING
         RETURNING account_id
       )
       INSERT INTO accounts (id, balance) SELECT account_id, $6 FROM entry
       ON CONFLICT (id) DO UPDATE SET balance = excluded.balance`,
      [operationId, accountId, amount, this.pod, Date.now(), balance],
    );
  }

  /** What an operation did, if it has been done: a second run of a handler goes on from there. */
  async entry(operationId: string): Promise<Entry | undefined> {
    const { rows } = await this.database.query('SELECT account_id, amount FROM ledger WHERE operation_id = $1', [
      operationId,
    ]);
    return rows[0] && { operationId, accountId: rows[0].account_id, amount: Number(rows[0].amount) };
  }
}
