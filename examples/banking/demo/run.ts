/** One run: the same traffic, through the queues or without them; and what the ledger says afterwards. */
import { SingleBar } from 'cli-progress';
import type { Audit } from './audit.js';
import { ACCOUNTS, type Order } from './orders.js';
import type { Pods } from './pods.js';

export interface Result {
  readonly orders: number;
  readonly refused: number;
  readonly refunded: number;
  readonly perSecond: number;
  readonly pods: number;
  /** Longest silence of an account of the killed pod; undefined where none was killed. */
  readonly takeoverMs: number | undefined;
  readonly drift: number;
  readonly missing: number;
}

export interface RunSettings {
  readonly title: string;
  readonly audit: Audit;
  readonly pods: Pods;
  readonly orders: readonly Order[];
  readonly environment: Record<string, string>;
  /** Kills one of the pods half-way. */
  readonly kill: boolean;
}

export const POD_COUNT = 3;
const IN_FLIGHT = 100;

export async function run(settings: RunSettings): Promise<Result> {
  const { title, audit, pods, orders, environment } = settings;
  await audit.reset();
  await pods.start(POD_COUNT, environment);
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total} orders`,
    noTTYOutput: true,
    notTTYSchedule: 5000,
  });
  bar.start(orders.length, 0);
  const startedAt = Date.now();
  const killed = await sendAll(settings, bar);
  await audit.settled(orders);
  const seconds = (Date.now() - startedAt) / 1000;
  bar.stop();
  await pods.stop();
  return {
    orders: orders.length,
    refused: await audit.refused(),
    refunded: await audit.refunded(),
    perSecond: Math.round(orders.length / seconds),
    pods: await audit.podsThatWorked(),
    takeoverMs: killed && (await audit.takeover(killed.pod, killed.at)),
    drift: await audit.drift(),
    missing: await audit.missing(orders),
  };
}

interface Kill {
  readonly pod: string;
  readonly at: number;
}

/** Sends the orders, a hundred at a time, and kills a pod half-way if it shall. */
async function sendAll({ audit, pods, orders, kill }: RunSettings, bar: SingleBar): Promise<Kill | undefined> {
  let sent = 0;
  let killing: Promise<Kill> | undefined;
  const killBusiest = async () => {
    const pod = await audit.busiestPod();
    return { pod, at: pods.kill(pod) };
  };
  const client = async (mine: Iterable<Order>) => {
    for (const order of mine) {
      await pods.send(order);
      bar.update(++sent);
      if (kill && sent >= orders.length / 2) killing ??= killBusiest();
    }
  };
  // The pod that sees an account's first order works it: one by one at first, so that each pod gets its share.
  const opening = 3 * ACCOUNTS.length;
  await client(orders.slice(0, opening));
  const rest = orders.slice(opening).values();
  await Promise.all(Array.from({ length: IN_FLIGHT }, () => client(rest)));
  return killing;
}
