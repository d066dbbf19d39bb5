/**
 * I11: for any values that users enqueue or throw, Redis never hangs for long, so that no healthy job runs twice, and no pod ends.
 * Alongside each large value 30 entities are at work, each on a job that lasts for longer than a lease.
 */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, QueueBus, QueueEntity, QueueEntityId } from '../../src/index.js';
import { FAULT_MS, FaultScenario, lasts, PODS, TTL } from '../support/fault-scenario.js';
import { isFull } from '../support/test-length.js';
import { eventually } from '../support/wait.js';
import { PingProcess } from '../support/worst-ping.js';

const ENTITIES = 30;
/** A tenth of the default lease. */
const MAX_PING_MS = 300;

@QueueEntity('bounded')
class Bounded {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly text: string,
  ) {}
}

/** A type that no pod works, whose backlogs are not bounded. */
@QueueEntity('free')
class Free {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly text: string,
  ) {}
}

interface Surroundings {
  readonly scenario: FaultScenario;
  /** Works nothing, and knows a type with bounded backlogs that no pod works. */
  readonly bus: QueueBus;
}

/** @param body the measured work; returns figures for the report. */
async function besideOthers(
  what: string,
  body: (at: Surroundings) => Promise<Readonly<Record<string, unknown>>>,
): Promise<void> {
  await FaultScenario.run({ pods: PODS, entities: ENTITIES }, async scenario => {
    const redis = { url: scenario.redis.url };
    const entities = { bounded: { maxPending: 1_000_000 } };
    @Module({ imports: [AtomicQueuesModule.forRoot({ redis, keyPrefix: scenario.prefix, entities })] })
    class Producer {}
    const producer = await NestFactory.createApplicationContext(Producer, { logger: false });
    const ping = await PingProcess.start(scenario.redis.url);
    try {
      // Each lasts through all later steps.
      await Promise.all(scenario.entities.map(id => scenario.enqueue(id, { ms: (isFull ? 5 : 3) * TTL * 1000 })));
      await eventually('all are at work', () => scenario.runs().length >= ENTITIES);
      let figures = {};
      const worstMs = await ping.during(async () => {
        figures = await body({ scenario, bus: producer.get(QueueBus) });
        // The effects of a stall show after the leases that it outlasted have been checked.
        await lasts(2 * TTL * 1000);
      });
      expect(secondStarts(scenario)).toEqual([]);
      expect(scenario.pods.workingPods).toHaveLength(PODS);
      scenario.report(what, { 'worst PING ms': worstMs, ...figures });
      if (isFull) expect(worstMs).toBeLessThan(MAX_PING_MS);
    } finally {
      ping.close();
      await producer.close();
    }
  });
}

/** Jobs of the entities at work that have started again. */
function secondStarts(scenario: FaultScenario): string[] {
  const started = new Set<string>();
  const again: string[] = [];
  for (const { entityId, n } of scenario.runs()) {
    if (!scenario.entities.includes(entityId)) continue;
    const job = `${entityId}#${n}`;
    if (started.has(job)) again.push(job);
    started.add(job);
  }
  return again;
}

/** The largest number of bytes retained for the failures of one failed job. */
async function keptOfFailures(scenario: FaultScenario, entities: readonly string[], count: number): Promise<number> {
  let most = 0;
  for (const entityId of entities) {
    const failed = () => scenario.admin.zrange(scenario.key(entityId, ':failed'), '0', '-1');
    await eventually(`${entityId} has failed`, async () => (await failed()).length === count, 60_000);
    for (const id of await failed()) {
      const lengths = await Promise.all(
        ['failedReason', 'stacktrace'].map(field => scenario.admin.hstrlen(scenario.key(entityId, `:${id}`), field)),
      );
      most = Math.max(most, ...lengths);
    }
  }
  return most;
}

const job = (entityType: string, entityId: string, bytes: number) => ({
  entityType,
  entityId,
  name: 'work',
  data: { n: 0, text: 'x'.repeat(bytes) },
});

test(
  'a bulk of a bounded type, and a flow, at their limits in number and in bytes, do not stop other entities',
  () =>
    besideOthers('a bulk and a flow at their limits', async ({ bus }) => {
      const share = isFull ? 1 : 0.1;
      const bulks = [
        [2000 * share, 1500],
        [20, 200_000],
      ] as const;
      for (const [count, bytes] of bulks) {
        const jobs = Array.from({ length: count }, (_, n) => new Bounded(`b${n % 100}`, 'x'.repeat(bytes)));
        await bus.enqueueBulk(jobs);
      }
      const children = Array.from({ length: 1000 * share - 1 }, (_, n) => ({ job: job('bounded', `c${n}`, 4000) }));
      await bus.enqueueFlow({ job: job('bounded', 'root', 10), children });
      await expect(
        bus.enqueueBulk(Array.from({ length: 50 }, (_, n) => new Bounded(`b${n}`, 'x'.repeat(100_000)))),
      ).rejects.toMatchObject({ code: 'STEP_TOO_LARGE' });
      return { bulk: '2,000 × 1.5 kB, 20 × 200 kB', flow: '1,000 × 4 kB', share };
    }),
  FAULT_MS,
);

test(
  'failures of 5 MB with retries leave a bounded text, and do not stop other entities',
  () =>
    besideOthers('10 × 5 MB failures', async ({ scenario }) => {
      const entities = Array.from({ length: 10 }, (_, n) => `large${n}`);
      const attempts = isFull ? 12 : 2;
      await Promise.all(entities.map(id => scenario.enqueue(id, { errorBytes: 5_000_000 }, { attempts })));
      const kept = await keptOfFailures(scenario, entities, 1);
      expect(kept).toBeLessThan(100_000);
      return { attempts, 'kept of a job at most, bytes': kept };
    }),
  FAULT_MS,
);

test(
  'a batch whose error quotes all its rows in each of 8 attempts leaves bounded texts, and does not stop other entities',
  () =>
    besideOthers('a batch of 128 × 1 kB rows, 8 attempts', async ({ scenario, bus }) => {
      const rows = Array.from({ length: 128 }, () => ({ ...job('account', 'rows', 1000), name: 'rows' }));
      await Promise.all(rows.map(row => bus.enqueueJob(row, { attempts: 8 })));
      const kept = await keptOfFailures(scenario, ['rows'], 128);
      expect(kept).toBeLessThan(50_000);
      return { 'kept of a job at most, bytes': kept };
    }),
  FAULT_MS,
);

test(
  'a bulk of many large commands is added in steps by its bytes: the caller goes on, and other entities do not stop',
  () =>
    besideOthers('a large bulk', async ({ bus }) => {
      const count = isFull ? 2500 : 100;
      const text = 'x'.repeat(250_000);
      const from = performance.now();
      let longestTurnMs = 0;
      let last = performance.now();
      const ticker = setInterval(() => {
        longestTurnMs = Math.max(longestTurnMs, performance.now() - last);
        last = performance.now();
      }, 1);
      const added = await bus.enqueueBulk(Array.from({ length: count }, (_, n) => new Free(`f${n % 100}`, text)));
      clearInterval(ticker);
      expect(added).toHaveLength(count);
      const tookMs = Math.round(performance.now() - from);
      return { commands: `${count} × 250 kB`, 'took ms': tookMs, 'longest turn ms': Math.round(longestTurnMs) };
    }),
  FAULT_MS,
);
