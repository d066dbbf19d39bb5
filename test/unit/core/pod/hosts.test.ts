/** Whether any pod works an entity type, which caller is warned if none does, and pods of other applications under the same prefix. */

import { Engine } from '../../../../src/core/engine.js';
import { HandlerTable } from '../../../../src/core/handlers/handler-table.js';
import { StoreUnavailableError } from '../../../../src/core/model/store-errors.js';
import type { EngineOptions } from '../../../../src/core/options/options.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import type { Hosts } from '../../../../src/core/ports/hosts.js';
import { MemoryEntityStore } from '../../../../src/store/memory/memory-store.js';
import { settle } from '../../../support/clock.js';
import { RecordingLog } from '../../../support/log.js';
import { LEASE_MS, MemoryPods } from '../../../support/memory-pods.js';

describe('a type that no live pod works', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  const producer = () => cluster.pod('producer', { producerOnly: true });
  const warning = expect.stringMatching(
    /^warn No live pod has handlers for entity type "account"\. Its jobs are stored and wait until a pod has them\. Start/,
  );

  test('causes a warning with the first job that this process enqueues for it, and no further one', async () => {
    const pod = await producer();
    await pod.add('1', 1, 2);
    await pod.add('2', 3);
    expect(pod.log.lines).toEqual([warning]);
  });

  test.each(['bulk', 'flow', 'schedule', 'call'])(
    'causes a warning with its first job, also if that is a %s',
    async how => {
      const pod = await producer();
      const job = { entityType: 'account', entityId: '1', name: 'withdraw', data: {} };
      if (how === 'bulk') await pod.engine.enqueueBulk([job]);
      else if (how === 'flow') await pod.engine.enqueueFlow({ job, children: () => [] });
      else if (how === 'schedule') await pod.engine.schedule(job, { id: 's', every: 1000 });
      else await Promise.all([pod.call('1', 1, { timeoutMs: 10 }).catch(() => {}), cluster.clock.advance(1000)]);
      await settle();
      expect(pod.log.lines).toEqual([warning]);
    },
  );

  test('causes no warning while a pod works it, here or elsewhere, even a pod that takes no more entities', async () => {
    const worker = await cluster.pod('worker', { maxWorkersPerPod: 1 });
    cluster.instant = false;
    await worker.add('1', 1);
    await cluster.clock.advance(LEASE_MS);
    const pod = await producer();
    await pod.add('2', 2);
    expect([...worker.log.lines, ...pod.log.lines]).toEqual([]);
  });

  test('is reported again three leases after its last pod has shut down', async () => {
    const worker = await cluster.pod('worker');
    const pod = await producer();
    await worker.engine.close();
    await cluster.clock.advance(LEASE_MS * 3 + 1);
    await pod.add('1', 1);
    expect(pod.log.lines).toEqual([warning]);
  });

  test('causes no warning while a full pod works it, after another pod of the same version has shut down', async () => {
    const worker = await cluster.pod('worker', { maxWorkersPerPod: 1 });
    await worker.add('1', 1);
    const leaving = await cluster.pod('leaving');
    await cluster.clock.advance(LEASE_MS);
    await leaving.engine.close();
    const pod = await producer();
    await pod.add('2', 2);
    expect(pod.log.lines).toEqual([]);
  });

  test('is reported together with the type of this pod that was probably meant', async () => {
    const pod = await cluster.pod('pod');
    await pod.engine.enqueue({ entityType: 'acount', entityId: '1', name: 'withdraw', data: {} });
    await settle();
    expect(pod.log.lines).toEqual([expect.stringMatching(/type "acount"\. .* Did you mean "account"\? Start/)]);
  });

  test('is checked again with the next job if Redis did not answer', async () => {
    const pod = await producer();
    const { hosts } = pod.store.asStore();
    const { areHosted } = hosts;
    hosts.areHosted = async () => {
      throw new StoreUnavailableError('away');
    };
    await pod.add('1', 1);
    expect(pod.log.lines).toEqual([]);
    hosts.areHosted = areHosted;
    await pod.add('1', 2);
    expect(pod.log.lines).toEqual([warning]);
  });

  test('is named in the error of a call that timed out; for a type with a pod, the error says that a pod works it', async () => {
    const pod = await producer();
    const failed = (call: Promise<unknown>) =>
      call.then(
        () => undefined,
        error => error,
      );
    const first = failed(pod.call('1', 1));
    await cluster.clock.advance(10_000);
    expect(await first).toMatchObject({
      state: 'waiting',
      isHosted: false,
      message: expect.stringContaining('its state: waiting. No live pod has handlers for its entity type'),
    });
    cluster.instant = false;
    await cluster.pod('worker');
    const second = failed(pod.call('1', 2));
    await cluster.clock.advance(10_000);
    expect(await second).toMatchObject({
      state: 'waiting',
      isHosted: true,
      message: expect.not.stringContaining('live'),
    });
    await cluster.job(1).end();
    await cluster.job(2).end();
  });

  test('does not delay a timeout if Redis does not answer, and the error says so', async () => {
    const pod = await producer();
    pod.store.asStore().hosts.areHosted = () => new Promise(() => {});
    let error: { isHosted?: boolean } | undefined;
    pod.call('1', 1).catch(thrown => {
      error = thrown;
    });
    await cluster.clock.advance(10_250);
    expect(error).toMatchObject({ state: 'waiting', isHosted: undefined });
  });
});

describe('pods of other applications under the same prefix', () => {
  let cluster: MemoryPods;
  let engines: Engine[];
  beforeEach(() => {
    cluster = new MemoryPods();
    engines = [];
  });
  afterEach(async () => {
    await Promise.all([...engines.map(engine => engine.close()), cluster.clock.advance(20_000)]);
    await cluster.close();
  });

  /** A pod that has these handlers, `type:job`, and what it has logged so far. */
  const pod = async (handlers: readonly string[], testProcess?: string, options: EngineOptions = {}) => {
    const table = new HandlerTable();
    for (const one of handlers) {
      const [type = '', name = ''] = one.split(':');
      table.add(type, name, { runner: async () => {}, origin: one });
    }
    const config = resolveOptions({ workerDefaults: { heartbeatTTL: LEASE_MS / 1000 }, ...options });
    const store = new MemoryEntityStore(cluster.server, config, `pod ${engines.length}`);
    const log = new RecordingLog();
    const engine = new Engine({ store, config, handlers: table, clock: cluster.clock, log, testProcess });
    engines.push(engine);
    await engine.connect();
    engine.work();
    await settle();
    return { engine, store, log };
  };
  const wait = () => cluster.clock.advance(LEASE_MS * 5);

  test('with other handlers of a type cause one warning on the pod that starts, when they are still alive after some leases', async () => {
    const old = await pod(['account:audit', 'account:withdraw', 'order:ship']);
    await wait();
    const fresh = await pod(['order:ship', 'account:withdraw']);
    await cluster.clock.advance(LEASE_MS * 3);
    expect(fresh.log.lines).toEqual([]);
    await wait();
    await wait();
    expect(fresh.log.lines).toEqual([
      expect.stringMatching(
        /^warn Another application, or another version of this one, works entities of type "account" under the same keyPrefix, with the handlers audit, withdraw\. .*keyPrefix of its own\.$/,
      ),
    ]);
    expect(old.log.lines).toEqual([]);
  });

  test('cause no warning if the handlers are equal, in any order, or the types differ', async () => {
    await pod(['account:audit', 'account:withdraw']);
    const same = await pod(['account:withdraw', 'account:audit']);
    const others = await pod(['order:ship']);
    await wait();
    expect([...same.log.lines, ...others.log.lines]).toEqual([]);
  });

  test('cause no warning if they have died since, like the previous run of a restarted application', async () => {
    const old = await pod(['account:audit']);
    await cluster.clock.advance(LEASE_MS);
    // It sends nothing any more, and withdraws nothing.
    old.store.hosts.announce = async () => [];
    old.store.hosts.withdraw = async () => {};
    const fresh = await pod(['account:withdraw']);
    await wait();
    await wait();
    expect(fresh.log.lines).toEqual([]);
  });

  test('cause a warning at once if they are test processes, even with equal handlers, but not within one process', async () => {
    await pod(['account:audit'], 'host:1');
    const beside = await pod(['account:withdraw'], 'host:1');
    expect(beside.log.lines).toEqual([]);
    const other = await pod(['account:audit'], 'host:2');
    expect(other.log.lines).toEqual([
      expect.stringMatching(
        /^warn The test process host:1 works .*"account" .*keyPrefix of its own, with process\.pid/,
      ),
    ]);
    const deployed = await pod(['account:audit']);
    expect(deployed.log.lines).toEqual([expect.stringContaining('The test process host:')]);
  });

  test('cause no warning if they are test processes that have ended', async () => {
    const first = await pod(['account:audit'], 'host:1');
    await first.engine.close();
    const next = await pod(['account:audit'], 'host:2');
    await wait();
    expect(next.log.lines).toEqual([]);
  });

  test('are read with care: damaged entries are skipped, and long ones are cut', async () => {
    const others = new Map<string, number>();
    const long = JSON.stringify({
      handlers: Array.from({ length: 100 }, () => 'x\n'.repeat(1000)),
      more: 5,
      process: 'p',
    });
    for (const text of ['', '{', 'null', '[]', '{"handlers":[1]}', long]) others.set(text, Number.POSITIVE_INFINITY);
    cluster.server.hosts.set('account', others);
    const fresh = await pod(['account:audit']);
    await wait();
    expect(fresh.log.lines).toHaveLength(1);
    expect(fresh.log.lines[0]?.length).toBeLessThan(2048);
  });

  test('are told apart even with many handlers, and a pod with no handlers is seen', async () => {
    const many = Array.from({ length: 30 }, (_, n) => `account:job${n + 10}`);
    const said: Parameters<Hosts['announce']>[0][] = [];
    const a = await pod(many);
    const { hosts } = a.store;
    const announce = hosts.announce.bind(hosts);
    hosts.announce = async (types, forMs) => {
      said.push(types);
      return announce(types, forMs);
    };
    const b = await pod(many.slice(1));
    await wait();
    expect(said[0]?.[0]?.[1]?.length).toBeLessThan(500);
    expect(b.log.lines).toEqual([expect.stringContaining('and 10 more')]);
  });

  test('cause no warning if they only enqueue', async () => {
    await pod(['account:audit'], undefined, { producerOnly: true });
    await wait();
    expect(cluster.server.hosts.size).toBe(0);
  });
});
