/** One run: the same traffic, through the queues or without them; and what the ledger says afterwards. */
import type { Audit } from './audit.js';
import { ACCOUNTS, type Order } from './orders.js';
import type { Pods } from './pods.js';
import { Progress } from './progress.js';

export interface Result {
  readonly orders: number;
  readonly refused: number;
  readonly refunded: number;
  readonly perSecond: number;
  readonly pods: number;
  /** Longest silence of an account of the killed pod; undefined where none was killed. */
  readonly takeoverMs: number | undefined;
  readonly drift: number;
  readonly wrongPayments: number;
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
  const progress = new Progress(title, orders.length);
  const startedAt = Date.now();
  const [killed] = await Promise.all([
    sendAll(settings, progress),
    audit.settled(orders, done => progress.update(done)),
  ]);
  progress.stop();
  await pods.stop();
  const seconds = ((await audit.lastLineAt()) - startedAt) / 1000;
  return {
    orders: orders.length,
    refused: await audit.refused(),
    refunded: await audit.refunded(),
    perSecond: Math.round(orders.length / seconds),
    pods: await audit.podsThatWorked(),
    takeoverMs: killed && (await audit.takeover(killed.pod, killed.at)),
    drift: await audit.drift(),
    wrongPayments: await audit.wrongPayments(),
    missing: await audit.missing(orders),
  };
}

interface Kill {
  readonly pod: string;
  readonly at: number;
}

/** Sends the orders, a hundred at a time, and kills a pod half-way if it shall. */
async function sendAll({ audit, pods, orders, kill }: RunSettings, progress: Progress): Promise<Kill | undefined> {
  let sent = 0;
  let killing: Promise<Kill> | undefined;
  const killBusiest = async () => {
    const { pod, accounts } = await audit.busiestPod();
    const at = pods.kill(pod);
    const killed = `>>> ${pod} KILLED (SIGKILL), with ${sent} of ${orders.length} orders sent.`;
    progress.announce(
      `${killed} It was working ${accounts} of the ${ACCOUNTS.length} accounts; the others take them over.`,
    );
    return { pod, at };
  };
  const client = async (mine: Iterable<Order>) => {
    for (const order of mine) {
      await pods.send(order);
      sent++;
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
