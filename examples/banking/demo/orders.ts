/** The traffic of the demo: random orders on a few accounts. Both runs get the same. */
import { randomInt, randomUUID } from 'node:crypto';

export interface Order {
  readonly kind: 'deposit' | 'withdraw' | 'transfer';
  readonly accountId: string;
  readonly amount: number;
  /** Chosen once, by the client: the same in every try. */
  readonly operationId: string;
  /** The account that a transfer credits. */
  readonly to?: string;
}

export const ACCOUNTS: readonly string[] = Array.from({ length: 20 }, (_, index) => `account-${index + 1}`);

/** Transfers to it are refunded. */
export const CLOSED_ACCOUNT = 'account-closed';

/** So little that some withdrawals are refused. */
export const INITIAL_BALANCE = 2000;

export function makeOrders(count: number): Order[] {
  return Array.from({ length: count }, () => {
    const kind = pick(['withdraw', 'withdraw', 'transfer', 'deposit'] as const);
    const accountId = pick(ACCOUNTS);
    const order = { kind, accountId, amount: randomInt(1, 51), operationId: randomUUID() };
    return kind === 'transfer'
      ? { ...order, to: pick([...ACCOUNTS.filter(other => other !== accountId), CLOSED_ACCOUNT]) }
      : order;
  });
}

function pick<T>(choices: readonly T[]): T {
  return choices[randomInt(choices.length)] as T;
}
