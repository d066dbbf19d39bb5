/** Calls that wait for results while pods, connections and Redis break: each settles, with the result of the run that counts. */
import { DurableRedis } from '../support/durable-redis.js';
import { FAULT_MS, PODS, Scene } from '../support/scene.js';
import { eventually } from '../support/wait.js';

const runsOf = (scene: Scene, entityId: string, n = 0) =>
  scene.runs().filter(run => run.entityId === entityId && run.n === n);

test(
  'the worker is killed before the effect: its successor runs the job, and answers',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      const call = scene.call('e0', { ms: 1500 });
      await eventually('it runs', () => runsOf(scene, 'e0').length === 1);
      const victim = scene.podOf('e0') ?? '';
      await scene.pods.kill(victim);
      const answer = await call;
      expect(scene.pods.workingPods).toContain(answer);
      expect(runsOf(scene, 'e0').map(({ pod, end }) => [pod === victim, end !== undefined])).toEqual([
        [true, false],
        [false, true],
      ]);
      scene.report('worker killed before the effect', { runs: 2, 'answer of': answer });
    }),
  FAULT_MS,
);

test(
  'the worker is killed after the effect, before the end has reached Redis: it runs again, and the second run answers',
  () =>
    Scene.run({ pods: 1 }, async scene => {
      const [first = ''] = scene.pods.workingPods;
      await scene.pods.start({ DIE_AT: 'effect' });
      await scene.allKnown();
      await scene.pods.stop(first);
      const call = scene.call('e0');
      await eventually('it has killed itself', () => scene.pods.deaths.size > 0, 60_000);
      const successor = await scene.pods.start();
      expect(await call).toBe(successor);
      // At least once: the effect was there twice.
      expect(runsOf(scene, 'e0').map(({ end }) => end !== undefined)).toEqual([true, true]);
      scene.report('worker killed after the effect', { runs: 2 });
    }),
  FAULT_MS,
);

test(
  'replies are lost, again and again, with the connections and the mailbox: of a job that is kept the result is told all the same',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      const options = { timeoutMs: 60_000, removeOnComplete: false };
      await scene.call('e0');
      const [box = ''] = await scene.admin.keys(`${scene.prefix}:*:answers`);
      expect(box).not.toBe('');
      const results: unknown[] = [];
      let isOver = false;
      const breaking = (async () => {
        while (!isOver) {
          await scene.admin.del(box);
          await new Promise(resolve => setTimeout(resolve, scene.random.next() * 4));
        }
      })();
      for (let round = 0; round < 5; round++) {
        const calls = scene.entities.map(entityId => scene.call(entityId, {}, options));
        const clients = String(await scene.admin.client('LIST')).split('\n');
        const ids = clients
          .filter(line => line.includes(':answers'))
          .flatMap(line => line.match(/^id=(\d+)/)?.[1] ?? []);
        await Promise.all(ids.map(id => scene.admin.client('KILL', 'ID', id)));
        results.push(...(await Promise.all(calls)));
      }
      isOver = true;
      await breaking;
      expect(results.filter(pod => scene.pods.workingPods.includes(String(pod)))).toHaveLength(50);
      scene.expectClean('replies lost', { calls: results.length });
    }),
  FAULT_MS,
);

test(
  'the caller is killed while it waits: what it waits for goes on, it runs again, and nothing of it is left',
  () =>
    Scene.run({ pods: PODS }, async scene => {
      const outer = scene.call('e0', { call: { entityId: 'e1', data: { n: 0, ms: 3000 } } });
      await eventually('the inner job runs', () => runsOf(scene, 'e1').length === 1);
      // The pod that waits; where one pod runs both, both begin anew.
      const victim = scene.podOf('e0') ?? '';
      await scene.pods.kill(victim);
      expect(scene.pods.workingPods).toContain(await outer);
      expect(runsOf(scene, 'e0').length).toBe(2);
      const inner = runsOf(scene, 'e1');
      expect(inner.length).toBeGreaterThanOrEqual(2);
      // One at a time, also of the two that were asked for.
      for (const [index, { start }] of inner.entries()) {
        const before = inner[index - 1];
        if (before?.end !== undefined) expect(start >= before.end).toBe(true);
      }
      for (const box of await scene.admin.keys(`${scene.prefix}:*:answers`)) {
        expect(await scene.admin.pttl(box)).toBeGreaterThan(0);
      }
      scene.report('caller killed', { 'runs of the inner job': inner.length });
    }),
  FAULT_MS,
);

test(
  'a result that is too large: the job has completed, and runs no more',
  () =>
    Scene.run({ pods: 1 }, async scene => {
      expect(await scene.call('e0', { resultBytes: 256 * 1024 - 2 })).toHaveLength(256 * 1024 - 2);
      const large = { code: 'RESULT_UNAVAILABLE', message: expect.stringMatching(/262146 bytes.*maxResultBytes/) };
      await expect(scene.call('e0', { resultBytes: 256 * 1024 })).rejects.toMatchObject(large);
      await scene.call('e0');
      scene.expectClean('result too large');
      expect(scene.runs()).toHaveLength(3);
    }),
  FAULT_MS,
);

test.each(['as it was', 'empty'])(
  'Redis is killed while calls wait, and comes back %s: all settle',
  async state => {
    const server = new DurableRedis('always');
    try {
      await Scene.run({ pods: PODS, redis: await server.start() }, async scene => {
        const outcomes = Promise.allSettled(scene.entities.map(entityId => scene.call(entityId, { ms: 1500 })));
        await eventually('all run', () => scene.runs().length === scene.entities.length);
        await server.crash();
        if (state === 'empty') server.forget();
        await server.start();
        const codes = (await outcomes).map(outcome =>
          outcome.status === 'fulfilled' ? 'result' : outcome.reason.code,
        );
        const count = (code: string) => codes.filter(other => other === code).length;
        // What ended before the server died was told, if anything did; the others are gone with it.
        expect(count('result') + (state === 'empty' ? count('JOB_REMOVED') : 0)).toBe(scene.entities.length);
        scene.report(`Redis comes back ${state}`, { results: count('result'), removed: count('JOB_REMOVED') });
      });
    } finally {
      await server.end();
    }
  },
  FAULT_MS,
);
