/**
 * The recipes of docs/fencing.md, run as they stand there: PostgreSQL (PGlite) and Redis refuse a zombie. And the
 * repository of the banking example, which uses the first of them.
 */
import { resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Pool, PoolClient } from 'pg';
import { AccountRepository, SCHEMA } from '../../examples/banking/account.repository.js';
import { codeBlocks, writeBlocks } from '../support/doc-code.js';
import { connect, dropKeys, freshPrefix } from '../support/redis.js';

/** Tokens as Redis returns them; the larger one would be the smaller one as a text of another length. */
const OLD = '999999999999999';
const NEW = '1764000000123456';
const NEWER = '1764000000123457';

interface Sink {
  take(id: string, token: string): Promise<number>;
  save(id: string, balance: number, operationId: string, token: string): Promise<void>;
  balance(id: string): Promise<number>;
}

interface AccountsOfTheDoc {
  Accounts: new (database: Pool) => Pick<Sink, 'take' | 'save'>;
}

interface FencedOfTheDoc {
  fenced(
    database: Pool,
    job: { entity: string; token: string; operationId: string },
    work: (client: PoolClient) => Promise<void>,
  ): Promise<void>;
}

interface RedisOfTheDoc {
  FENCED_WRITE: string;
  take(redis: Redis, key: string, token: string): Promise<Record<string, string>>;
  save(
    redis: Redis,
    key: string,
    fields: Record<string, string>,
    operation: { operationId: string; token: string },
  ): Promise<void>;
}

const files = writeBlocks('docs/fencing.md', 'build/fencing-test');
const blocks = codeBlocks('docs/fencing.md', 'ts');

/** The module that a code block is, found by something that it exports. */
function block(exported: string): Promise<unknown> {
  const index = blocks.findIndex(code => code.includes(`export ${exported}`));
  return import(resolve(files[index] ?? `no block of docs/fencing.md has "export ${exported}"`));
}

describe('PostgreSQL', () => {
  let database: PGlite;
  let pool: Pool;

  beforeAll(async () => {
    database = await PGlite.create();
    pool = asPool(database);
  });

  afterAll(() => database.close());

  const number = async (sql: string, values: unknown[] = []) => {
    const { rows } = await database.query<{ n: number }>(sql, values);
    return Number(rows[0]?.n);
  };

  describe('one row', () => {
    itFences(async () => {
      await createTables(database);
      const { Accounts } = (await block('class Accounts')) as AccountsOfTheDoc;
      const accounts = new Accounts(pool);
      return {
        take: (id, token) => accounts.take(id, token),
        save: (...write) => accounts.save(...write),
        balance: id => number('SELECT balance AS n FROM accounts WHERE id = $1', [id]),
      };
    });
  });

  describe('the repository of the banking example', () => {
    const repository = async () => {
      await database.exec(`DROP TABLE IF EXISTS accounts, ledger, fences, operations; ${SCHEMA}`);
      return new AccountRepository(pool, 'pod');
    };

    itFences(async () => {
      const accounts = await repository();
      return {
        take: async (id, token) => (await accounts.take(id, token)).balance,
        save: (id, balance, operationId, fence) => accounts.save({ id, balance, fence }, { operationId, amount: 1 }),
        balance: async id => (await accounts.find(id)).balance,
      };
    });

    test('a refused write leaves no line in the ledger', async () => {
      const accounts = await repository();
      await accounts.take('a', NEW);
      const entry = { operationId: 'late', amount: 1 };
      await expect(accounts.save({ id: 'a', balance: 1, fence: OLD }, entry)).rejects.toThrow(UnrecoverableError);
      expect(await accounts.entry('late')).toBeUndefined();
    });

    test('two accounts: a token fences the rows of its own account only', async () => {
      const accounts = await repository();
      await accounts.take('payer', NEW);
      await accounts.take('payee', OLD);
      await accounts.save({ id: 'payee', balance: 5, fence: OLD }, { operationId: 'c', amount: 5 });
      expect(await accounts.find('payee')).toEqual({ id: 'payee', balance: 5 });
    });
  });

  describe('several rows', () => {
    let fenced: FencedOfTheDoc['fenced'];

    beforeEach(async () => {
      await createTables(database);
      ({ fenced } = (await block('async function fenced')) as FencedOfTheDoc);
      await database.exec(`INSERT INTO accounts (id, balance) VALUES ('savings', 0), ('current', 0)`);
    });

    const book = (token: string, operationId: string, amount: number) =>
      fenced(pool, { entity: 'customer:1', token, operationId }, async client => {
        await client.query(`UPDATE accounts SET balance = balance - $1 WHERE id = 'savings'`, [amount]);
        await client.query(`UPDATE accounts SET balance = balance + $1 WHERE id = 'current'`, [amount]);
      });
    const current = () => number(`SELECT balance AS n FROM accounts WHERE id = 'current'`);
    const sum = () => number('SELECT sum(balance) AS n FROM accounts');

    test('a zombie is refused after its successor has begun, and leaves nothing', async () => {
      await book(OLD, 'a', 1);
      await book(NEW, 'b', 10);
      await expect(book(OLD, 'c', 100)).rejects.toThrow(UnrecoverableError);
      await book(NEW, 'd', 1000);
      await book(NEWER, 'c', 100);
      expect(await current()).toBe(1111);
      expect(await sum()).toBe(0);
    });

    test('an operation that runs again changes nothing', async () => {
      await book(NEW, 'a', 1);
      await book(NEW, 'a', 1);
      await book(NEWER, 'a', 1);
      expect(await current()).toBe(1);
    });

    test('work that throws takes back its fence, its mark and its writes', async () => {
      const failing = fenced(pool, { entity: 'customer:1', token: NEW, operationId: 'a' }, async client => {
        await client.query(`UPDATE accounts SET balance = 7 WHERE id = 'savings'`);
        throw new Error('half-way');
      });
      await expect(failing).rejects.toThrow('half-way');
      await book(NEW, 'a', 1);
      expect(await current()).toBe(1);
      expect(await sum()).toBe(0);
    });

    test('another entity has its own fence', async () => {
      await book(NEW, 'a', 1);
      await fenced(pool, { entity: 'customer:2', token: OLD, operationId: 'b' }, async () => {});
      expect(await number('SELECT count(*) AS n FROM fences')).toBe(2);
    });
  });
});

describe('Redis', () => {
  const prefix = freshPrefix();
  let redis: Redis;
  let doc: RedisOfTheDoc;

  beforeAll(async () => {
    redis = connect();
    doc = (await block('const FENCED_WRITE')) as RedisOfTheDoc;
  });

  afterAll(async () => {
    await dropKeys(redis, prefix);
    await redis.quit();
  });

  let run = 0;
  itFences(async () => {
    const key = (id: string) => `${prefix}:${run}:${id}`;
    run++;
    return {
      take: async (id, token) => Number((await doc.take(redis, key(id), token))['balance'] ?? 0),
      save: (id, balance, operationId, token) =>
        doc.save(redis, key(id), { balance: String(balance) }, { operationId, token }),
      balance: async id => Number((await redis.hget(key(id), 'balance')) ?? 0),
    };
  });

  test('tokens that are the same number as doubles are told apart', async () => {
    const key = `${prefix}:large`;
    await doc.take(redis, key, '9007199254740993');
    await expect(doc.take(redis, key, '9007199254740992')).rejects.toThrow(UnrecoverableError);
  });
});

/** What every target does that compares tokens. */
function itFences(create: () => Promise<Sink>): void {
  let sink: Sink;
  beforeEach(async () => {
    sink = await create();
  });

  test('a zombie is refused after its successor has written; later writes of the successor pass', async () => {
    const stale = await sink.take('a', OLD);
    await sink.save('a', (await sink.take('a', NEW)) + 10, 'one', NEW);
    await expect(sink.save('a', stale + 100, 'two', OLD)).rejects.toThrow(UnrecoverableError);
    expect(await sink.balance('a')).toBe(10);
    await sink.save('a', (await sink.take('a', NEW)) + 1000, 'three', NEW);
    expect(await sink.balance('a')).toBe(1010);
    // The refused write has left no trace: the successor makes it.
    await sink.save('a', (await sink.take('a', NEWER)) + 100, 'two', NEWER);
    expect(await sink.balance('a')).toBe(1110);
  });

  test('a zombie is refused as soon as its successor has read', async () => {
    const stale = await sink.take('a', OLD);
    const read = await sink.take('a', NEW);
    await expect(sink.save('a', stale + 100, 'one', OLD)).rejects.toThrow(UnrecoverableError);
    await expect(sink.take('a', OLD)).rejects.toThrow(UnrecoverableError);
    await sink.save('a', read + 1, 'two', NEW);
    expect(await sink.balance('a')).toBe(1);
  });

  test('an operation that runs again, under the same owner or the next, changes nothing', async () => {
    for (const token of [OLD, OLD, NEW]) await sink.save('a', (await sink.take('a', token)) + 5, 'one', token);
    expect(await sink.balance('a')).toBe(5);
  });

  test('a row has its own fence', async () => {
    await sink.take('a', NEW);
    await sink.save('b', (await sink.take('b', OLD)) + 5, 'one', OLD);
    expect(await sink.balance('b')).toBe(5);
  });
}

async function createTables(database: PGlite): Promise<void> {
  await database.exec('DROP TABLE IF EXISTS accounts, ledger, fences, operations');
  for (const sql of codeBlocks('docs/fencing.md', 'sql')) await database.exec(sql);
}

/** PGlite as a pool of `pg`, as far as the recipes go: its one session is every client. */
function asPool(database: PGlite): Pool {
  const query = (sql: string, values?: unknown[]) => database.query(sql, values);
  const client = { query, on() {}, off() {}, release() {} };
  return { query, connect: async () => client } as unknown as Pool;
}
