/** The primary changes: read-only for a while, a planned switch, a failover that forgets writes which the replica had not received. */
import { Redis } from 'ioredis';
import { hasServerOnPath, startRedis } from '#dev-redis';
import { FAULT_MS, FaultScenario, inFull, lasts, now, PODS, SILENCE_MS, TTL } from '../support/fault-scenario.js';
import { judge } from '../support/judge.js';
import type { Run } from '../support/processes.js';
import { RedisProxy } from '../support/redis-proxy.js';
import { eventually } from '../support/wait.js';

interface Pair {
  readonly scenario: FaultScenario;
  readonly proxy: RedisProxy;
  readonly primary: Redis;
  readonly replica: Redis;
  readonly replicaAt: { readonly url: string; readonly port: number };
  crashPrimary(): Promise<void>;
}

/** A primary and its replica, and an address that leads to one of them. */
async function withReplica(pods: number, body: (pair: Pair) => Promise<void>): Promise<void> {
  if (!hasServerOnPath()) {
    process.stderr.write('SKIPPED: no redis-server or valkey-server is on PATH, so there is no replica.\n');
    return;
  }
  const servers = await Promise.all([startRedis({ alwaysPrivate: true }), startRedis({ alwaysPrivate: true })]);
  const [first, second] = servers;
  const proxy = new RedisProxy(first.url);
  const [primary, replica] = servers.map(({ url }) =>
    new Redis(url, { maxRetriesPerRequest: null }).on('error', () => {}),
  );
  try {
    if (!primary || !replica) throw new Error('There are two servers.');
    await replica.replicaof('127.0.0.1', String(first.port));
    await eventually('the replica is in step', async () =>
      /master_link_status:up/.test(await replica.info('replication')),
    );
    await FaultScenario.run({ pods, redis: first, url: await proxy.start() }, scenario =>
      body({
        scenario,
        proxy,
        primary,
        replica,
        replicaAt: second,
        crashPrimary: () => first.signal('SIGKILL'),
      }),
    );
  } finally {
    await proxy.close();
    for (const admin of [primary, replica]) admin?.disconnect();
    for (const server of servers) await server.stop();
  }
}

const refusals = (scenario: FaultScenario) => [...scenario.refused.values()].reduce((sum, count) => sum + count, 0);

inFull(
  'while the primary is read-only for a lease, errors are typed, and afterwards work goes on',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      await scenario.putUnderLoad();
      await scenario.during(async () => {
        // A replica of nothing: it serves reads, and refuses writes.
        await scenario.admin.replicaof('127.0.0.1', '1');
        await lasts(TTL * 1000);
        await eventually('enqueues are refused', () => refusals(scenario) > 0);
        await scenario.admin.replicaof('NO', 'ONE');
      });
      const back = now();
      await scenario.expectRecovery('primary read-only and back', back);
    }),
  FAULT_MS,
);

inFull(
  'after a planned switch to the replica, behind one address, nothing is lost, and order is kept',
  () =>
    withReplica(PODS, async ({ scenario, proxy, primary, replica, replicaAt }) => {
      await scenario.putUnderLoad();
      await scenario.during(async () => {
        await primary.call('FAILOVER', 'TO', '127.0.0.1', String(replicaAt.port));
        await eventually('the replica is the primary', async () =>
          /role:master/.test(await replica.info('replication')),
        );
        await eventually('the primary is not', async () => /role:slave/.test(await primary.info('replication')));
        await lasts(1000);
        proxy.switchTo(replicaAt.url);
      });
      const switched = now();
      await scenario.expectRecovery('planned switch', switched);
    }),
  FAULT_MS,
);

inFull(
  'after a failover that forgets writes, lost jobs are counted, tokens still grow, and order and fence hold',
  () =>
    withReplica(3, async ({ scenario, proxy, replica, replicaAt, crashPrimary }) => {
      await scenario.putUnderLoad();
      const victim = scenario.podOf('e0') ?? '';
      // From here on the replica receives nothing more. Claims that change hands now are unknown to it, too.
      await replica.replicaof('NO', 'ONE');
      const cutAt = now();
      const known = new Map(scenario.added);
      scenario.pods.freeze(victim);
      await lasts(TTL * 1000);
      await scenario.hasWorkedSince(now());
      scenario.pods.thaw(victim);
      await scenario.hasWorkedSince(now());
      proxy.switchTo(replicaAt.url);
      await crashPrimary();
      const failedOver = now();
      const given = new Map(scenario.added);
      await scenario.hasWorkedSince(failedOver);
      await scenario.stopProducing();
      await eventually('the new primary is drained', async () => (await waiting(scenario, replica)) === 0, 60_000);
      const silence = scenario.silenceAfter(failedOver);

      const runs = scenario.runs();
      const after = judge(
        runs.filter(run => run.start > failedOver && !isForgotten(run, known, given)),
        scenario.pods.deaths,
        scenario.added,
        { unsure: scenario.unsure, windows: [{ from: cutAt, to: now() }] },
      );
      const all = scenario.verdict(runs);
      const summary = scenario.report('failover that forgets', {
        ...scenario.countsOf(all),
        'forgotten for ms': Math.round(Number(failedOver - cutAt) / 1e6),
        'silence after it ms': silence,
      });
      expect({ summary, fallingTokens: all.fallingTokens, overlaps: all.overlaps, disorder: after.disorder }).toEqual({
        summary,
        fallingTokens: [],
        overlaps: [],
        disorder: [],
      });
      expect(silence).toBeLessThanOrEqual(SILENCE_MS);
    }),
  FAULT_MS,
);

/**
 * Whether the new primary may not know the job, because it was added between the two counts, or about then. A pod that had
 * fetched it goes on with it until it learns that its claim is stale.
 */
function isForgotten({ entityId, n }: Run, known: ReadonlyMap<string, number>, given: ReadonlyMap<string, number>) {
  return n >= (known.get(entityId) ?? 0) - 1 && n <= (given.get(entityId) ?? 0);
}

/** Jobs that the server has and that have not ended. */
async function waiting(scenario: FaultScenario, redis: Redis): Promise<number> {
  const lengths = scenario.entities.flatMap(entityId =>
    [':wait', ':active'].map(list => redis.llen(scenario.key(entityId, list))),
  );
  return (await Promise.all(lengths)).reduce((sum, length) => sum + length, 0);
}
