/** Calls that wait for results while pods, connections and Redis break: each settles, with the result of the run that counts. */
import { DurableRedis } from '../support/durable-redis.js';
import { FAULT_MS, FaultScenario, PODS } from '../support/fault-scenario.js';
import { eventually } from '../support/wait.js';

const runsOf = (scenario: FaultScenario, entityId: string, n = 0) =>
  scenario.runs().filter(run => run.entityId === entityId && run.n === n);

test(
  'the worker is killed before the effect: its successor runs the job, and sends the reply',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      const call = scenario.call('e0', { ms: 1500 });
      await eventually('it runs', () => runsOf(scenario, 'e0').length === 1);
      const victim = scenario.podOf('e0') ?? '';
      await scenario.pods.kill(victim);
      const answer = await call;
      expect(scenario.pods.workingPods).toContain(answer);
      expect(runsOf(scenario, 'e0').map(({ pod, end }) => [pod === victim, end !== undefined])).toEqual([
        [true, false],
        [false, true],
      ]);
      scenario.report('worker killed before the effect', { runs: 2, 'answer of': answer });
    }),
  FAULT_MS,
);

test(
  'the worker is killed after the effect, before the end has reached Redis: the job runs again, and the second run sends the reply',
  () =>
    FaultScenario.run({ pods: 1 }, async scenario => {
      const [first = ''] = scenario.pods.workingPods;
      await scenario.pods.start({ DIE_AT: 'effect' });
      await scenario.allKnown();
      await scenario.pods.stop(first);
      const call = scenario.call('e0');
      await eventually('it has killed itself', () => scenario.pods.deaths.size > 0, 60_000);
      const successor = await scenario.pods.start();
      expect(await call).toBe(successor);
      // At least once: the effect occurred twice.
      expect(runsOf(scenario, 'e0').map(({ end }) => end !== undefined)).toEqual([true, true]);
      scenario.report('worker killed after the effect', { runs: 2 });
    }),
  FAULT_MS,
);

test(
  'replies are lost repeatedly, with the connections and the mailbox: a caller still gets the result of a retained job',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      const options = { timeoutMs: 60_000, removeOnComplete: false };
      await scenario.call('e0');
      const [box = ''] = await scenario.admin.keys(`${scenario.prefix}:*:answers`);
      expect(box).not.toBe('');
      const results: unknown[] = [];
      let isOver = false;
      const breaking = (async () => {
        while (!isOver) {
          await scenario.admin.del(box);
          await new Promise(resolve => setTimeout(resolve, scenario.random.next() * 4));
        }
      })();
      for (let round = 0; round < 5; round++) {
        const calls = scenario.entities.map(entityId => scenario.call(entityId, {}, options));
        const clients = String(await scenario.admin.client('LIST')).split('\n');
        const ids = clients
          .filter(line => line.includes(':answers'))
          .flatMap(line => line.match(/^id=(\d+)/)?.[1] ?? []);
        await Promise.all(ids.map(id => scenario.admin.client('KILL', 'ID', id)));
        results.push(...(await Promise.all(calls)));
      }
      isOver = true;
      await breaking;
      expect(results.filter(pod => scenario.pods.workingPods.includes(String(pod)))).toHaveLength(50);
      scenario.expectClean('replies lost', { calls: results.length });
    }),
  FAULT_MS,
);

test(
  'the caller is killed while it waits: the awaited job goes on, the job of the caller runs again, and nothing of it is left',
  () =>
    FaultScenario.run({ pods: PODS }, async scenario => {
      const outer = scenario.call('e0', { call: { entityId: 'e1', data: { n: 0, ms: 3000 } } });
      await eventually('the inner job runs', () => runsOf(scenario, 'e1').length === 1);
      // The pod that waits. If one pod runs both, both resync.
      const victim = scenario.podOf('e0') ?? '';
      await scenario.pods.kill(victim);
      expect(scenario.pods.workingPods).toContain(await outer);
      expect(runsOf(scenario, 'e0').length).toBe(2);
      const inner = runsOf(scenario, 'e1');
      expect(inner.length).toBeGreaterThanOrEqual(2);
      // One at a time, and so are the two awaited jobs.
      for (const [index, { start }] of inner.entries()) {
        const before = inner[index - 1];
        if (before?.end !== undefined) expect(start >= before.end).toBe(true);
      }
      for (const box of await scenario.admin.keys(`${scenario.prefix}:*:answers`)) {
        expect(await scenario.admin.pttl(box)).toBeGreaterThan(0);
      }
      scenario.report('caller killed', { 'runs of the inner job': inner.length });
    }),
  FAULT_MS,
);

test(
  'a job with a result that is too large completes, and does not run again',
  () =>
    FaultScenario.run({ pods: 1 }, async scenario => {
      expect(await scenario.call('e0', { resultBytes: 256 * 1024 - 2 })).toHaveLength(256 * 1024 - 2);
      const large = { code: 'RESULT_UNAVAILABLE', message: expect.stringMatching(/262146 bytes.*maxResultBytes/) };
      await expect(scenario.call('e0', { resultBytes: 256 * 1024 })).rejects.toMatchObject(large);
      await scenario.call('e0');
      scenario.expectClean('result too large');
      expect(scenario.runs()).toHaveLength(3);
    }),
  FAULT_MS,
);

test.each(['as it was', 'empty'])(
  'Redis is killed while calls wait, and comes back %s: all calls settle',
  async state => {
    const server = new DurableRedis('always');
    try {
      await FaultScenario.run({ pods: PODS, redis: await server.start() }, async scenario => {
        const outcomes = Promise.allSettled(scenario.entities.map(entityId => scenario.call(entityId, { ms: 1500 })));
        await eventually('all run', () => scenario.runs().length === scenario.entities.length);
        await server.crash();
        if (state === 'empty') server.forget();
        await server.start();
        const codes = (await outcomes).map(outcome =>
          outcome.status === 'fulfilled' ? 'result' : outcome.reason.code,
        );
        const count = (code: string) => codes.filter(other => other === code).length;
        // Replies of jobs that ended before the server died were delivered, if there were any. The others are gone with it.
        expect(count('result') + (state === 'empty' ? count('JOB_REMOVED') : 0)).toBe(scenario.entities.length);
        scenario.report(`Redis comes back ${state}`, { results: count('result'), removed: count('JOB_REMOVED') });
      });
    } finally {
      await server.end();
    }
  },
  FAULT_MS,
);
