/**
 * Flows on real Redis: in an application, through BullMQ's own tools, and when something breaks.
 * Neighbour: `test/contract/flow-contract.ts`, what every store must do.
 */
import { Injectable } from '@nestjs/common';
import { CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { FlowProducer, type Job } from 'bullmq';
import {
  AtomicQueuesEvents,
  BacklogFullError,
  ChildFailedError,
  type ChildResult,
  currentJob,
  type FlowNode,
  InvalidCommandError,
  InvalidOptionError,
  type JobContext,
  JobHandler,
  QueueEntity,
  QueueEntityId,
  WorkerProcessor,
} from '../../src/index.js';
import { redisUrl } from '../support/redis.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { eventually } from '../support/wait.js';

@QueueEntity('order')
class ShipOrder {
  constructor(@QueueEntityId() readonly orderId: string) {}
}

@QueueEntity('item')
class Reserve {
  constructor(
    @QueueEntityId() readonly itemId: string,
    readonly count: number,
  ) {}
}

const runs: string[] = [];
const results: (readonly ChildResult[])[] = [];
const native: Record<string, unknown>[] = [];
let failing: (run: string) => boolean = () => false;

function ran(run: string): void {
  runs.push(run);
  if (failing(run)) throw new Error(`no ${run}`);
}

@CommandHandler(ShipOrder)
class ShipOrderHandler {
  async execute({ orderId }: ShipOrder) {
    // As code far below a handler would.
    results.push((await currentJob()?.children()) ?? []);
    native.push((await currentJob()?.job.getChildrenValues()) ?? {});
    ran(`ship ${orderId}`);
  }
}

@WorkerProcessor({ entityType: 'item', idleTimeoutSeconds: 0.2 })
@Injectable()
class Items {
  @JobHandler('Reserve')
  reserve({ data: { itemId, count } }: Job<Reserve>) {
    ran(`reserve ${itemId} ${count}`);
    return { reserved: count };
  }
  @JobHandler('*')
  async other(job: Job, id: string, context: JobContext) {
    const children = await context.children<{ reserved: number }>();
    const reserved = children.map(({ outcome }) => (outcome.kind === 'completed' ? outcome.value.reserved : 0));
    ran(`${job.name} ${id} ${reserved.join('+')}`);
    return reserved.length;
  }
}

describe('flows', () => {
  const apps = new RedisApps(
    { imports: [CqrsModule], providers: [ShipOrderHandler, Items] },
    {
      entities: {
        order: { idleTimeoutSeconds: 0.2 },
        full: { maxPending: 1 },
        item: { queueName: id => `item-${id}` },
      },
    },
  );
  const { redis, prefix } = apps;
  const producers: FlowProducer[] = [];
  let app: RedisApp;

  beforeEach(async () => {
    app = await apps.start();
  });
  afterEach(async () => {
    for (const producer of producers.splice(0)) await producer.close();
    await apps.clear();
    failing = () => false;
    for (const list of [runs, results, native]) list.length = 0;
  });
  afterAll(() => apps.quit());

  const flowProducer = () => {
    const producer = new FlowProducer({ connection: { url: redisUrl() } as never });
    producers.push(producer);
    return producer;
  };
  const named = (entityType: string, entityId: string, name: string) => ({ job: { entityType, entityId, name } });

  test('a command runs after its children, on three entities, and reads their results', async () => {
    const flow = await app.bus.enqueueFlow({
      command: new ShipOrder('7'),
      children: [
        { command: new Reserve('a', 2) },
        { ...named('item', 'b', 'weigh'), children: [{ command: new Reserve('c', 1) }] },
      ],
    });
    expect(flow).toMatchObject({
      entityType: 'order',
      entityId: '7',
      children: [
        { entityId: 'a', queueName: 'item-a', children: [] },
        { entityId: 'b', jobId: `${flow.jobId}.1`, children: [{ entityId: 'c', jobId: `${flow.jobId}.1.0` }] },
      ],
    });
    await app.drained('order', '7');
    expect(runs.slice(-1)).toEqual(['ship 7']);
    expect([...runs].sort()).toEqual(['reserve a 2', 'reserve c 1', 'ship 7', 'weigh b 1']);
    expect(results).toEqual([
      [
        {
          entityType: 'item',
          entityId: 'a',
          jobId: `${flow.jobId}.0`,
          name: 'Reserve',
          outcome: { kind: 'completed', value: { reserved: 2 } },
        },
        {
          entityType: 'item',
          entityId: 'b',
          jobId: `${flow.jobId}.1`,
          name: 'weigh',
          outcome: { kind: 'completed', value: 1 },
        },
      ],
    ]);
    // BullMQ's own method gives the same.
    expect(Object.values(native[0] ?? {})).toEqual(expect.arrayContaining([{ reserved: 2 }, 1]));
    await eventually('I8: nothing is left of it', async () => (await apps.queueKeys()).length === 0);
  });

  test('a flow without children is an ordinary job; a running job may enqueue a flow', async () => {
    const { jobId, children } = await app.bus.enqueueFlow({ command: new Reserve('a', 1) });
    expect(children).toEqual([]);
    await app.drained('item', 'a');
    expect(runs).toEqual(['reserve a 1']);
    expect(jobId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a failed child is reported to its parent, or fails it with a typed error that names the child', async () => {
    failing = run => run.startsWith('reserve b');
    const told: { type: string; reason?: string }[] = [];
    const watch = app.get(AtomicQueuesEvents).stream.subscribe(event => told.push(event));
    const children = (onFailure: 'failParent' | 'tellParent'): FlowNode[] => [
      { command: new Reserve('a', 1) },
      { command: new Reserve('b', 1), onFailure, options: { attempts: 2 } },
    ];
    await app.bus.enqueueFlow({ command: new ShipOrder('1'), children: children('tellParent') });
    const flow = await app.bus.enqueueFlow({ command: new ShipOrder('2'), children: children('failParent') });
    await app.drained('order', '1');
    await app.drained('order', '2');
    watch.unsubscribe();
    expect(results).toMatchObject([[{}, { entityId: 'b', outcome: { kind: 'failed', reason: 'no reserve b 1' } }]]);
    expect(runs.filter(run => run.startsWith('reserve b'))).toHaveLength(4);
    expect(runs.filter(run => run.startsWith('ship'))).toEqual(['ship 1']);
    const reason = `Child ${flow.jobId}.1 ("Reserve") of item "b" failed: no reserve b 1`;
    expect(told.filter(({ type }) => type === 'job.failed').map(({ reason }) => reason)).toContain(reason);
    const [failed] = await app.queue('order', '2').list('failed');
    expect(failed).toMatchObject({ jobId: flow.jobId, failedReason: reason });
    const orders = await app.queue('order', '2').getQueue();
    expect((await orders.getJob(flow.jobId))?.stacktrace?.[0]).toContain(ChildFailedError.name);
    // An operator retries it: it runs, and sees which child has failed.
    await (await orders.getJob(flow.jobId))?.retry();
    await orders.close();
    await app.bus.enqueue(new ShipOrder('2'));
    await eventually('it has run', () => results.length === 3);
    expect(results[1]).toMatchObject([{}, { outcome: { kind: 'failed', reason: 'no reserve b 1' } }]);
  });

  test('BullMQ reads a flow as one of its own', async () => {
    await app.queue('item', 'a').pause();
    const flow = await app.bus.enqueueFlow({
      command: new ShipOrder('7'),
      children: [{ command: new Reserve('a', 1) }, { command: new Reserve('b', 1) }],
    });
    await app.drained('item', 'b');
    const tree = await flowProducer().getFlow({ id: flow.jobId, queueName: 'queue', prefix: `${prefix}:order:7` });
    expect(tree?.job.name).toBe('ShipOrder');
    expect(await tree?.job.getState()).toBe('waiting-children');
    expect(await tree?.job.getDependenciesCount()).toMatchObject({ processed: 1, unprocessed: 1 });
    expect(tree?.children?.map(child => child?.job.name)).toContain('Reserve');
    expect(await app.queue('order', '7').status()).toMatchObject({ waitingForChildren: 1, waiting: 0 });
    await expect(app.queue('order', '7').drain({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'DRAIN_TIMEOUT' });
    await app.queue('item', 'a').resume();
    await app.drained('order', '7');
    expect(runs.slice(-1)).toEqual(['ship 7']);
  });

  test('the parent of a flow that BullMQ added runs when its children have ended', async () => {
    const of = (type: string, id: string) =>
      type === 'item' ? { queueName: `item-${id}`, prefix } : { queueName: 'queue', prefix: `${prefix}:${type}:${id}` };
    await app.queue('item', 'a').pause();
    await flowProducer().add({
      ...of('order', '7'),
      name: 'ShipOrder',
      data: { orderId: '7' },
      children: [{ ...of('item', 'a'), name: 'Reserve', data: { itemId: 'a', count: 3 } }],
    });
    await app.queue('item', 'a').resume();
    await eventually('it has run', () => runs.includes('ship 7'));
    expect(runs).toEqual(['reserve a 3', 'ship 7']);
    expect(Object.values(native[0] ?? {})).toEqual([{ reserved: 3 }]);
    // It has no list of its children, so nothing is told of them but by BullMQ.
    expect(results).toEqual([[]]);
  });

  test('a parent waits for a failed child that an operator retries, or has continued without it', async () => {
    failing = run => run === 'reserve b 1';
    const retried = async (id: string) => {
      const items = await app.queue('item', 'b').getQueue();
      await (await items.getJob(id))?.retry();
      await items.close();
    };
    await app.queue('item', 'a').pause();
    const children = [{ command: new Reserve('a', 1) }, { command: new Reserve('b', 1) }];
    const { jobId } = await app.bus.enqueueFlow({ command: new ShipOrder('1'), children });
    await app.drained('item', 'b');
    failing = () => false;
    await retried(`${jobId}.1`);
    await eventually('it has run again', () => runs.filter(run => run === 'reserve b 1').length === 2);
    await app.queue('item', 'a').resume();
    await app.drained('order', '1');
    expect(results).toMatchObject([[{ outcome: { kind: 'completed' } }, { outcome: { kind: 'completed' } }]]);

    failing = run => run === 'reserve b 1';
    await app.queue('order', '2').pause();
    const late = await app.bus.enqueueFlow({
      command: new ShipOrder('2'),
      children: [{ command: new Reserve('b', 1), onFailure: 'tellParent' }],
    });
    await app.drained('item', 'b');
    failing = () => false;
    await app.queue('item', 'b').pause();
    await retried(`${late.jobId}.0`);
    await app.queue('order', '2').resume();
    await app.drained('order', '2');
    expect(results[1]).toMatchObject([
      { outcome: { kind: 'failed', reason: expect.stringContaining('had it retried') } },
    ]);
    expect(await app.queue('order', '2').status()).toMatchObject({ failed: 0 });
    // It runs without its parent, and its result is dropped silently.
    await app.queue('item', 'b').drop();
    await app.queue('item', 'b').resume();
    await eventually('I8: nothing is left of it', async () => (await apps.queueKeys()).length === 0);
  });

  test('the entity of a parent is known, however long its flow takes', async () => {
    await app.queue('item', 'a').pause();
    await app.bus.enqueueFlow({ ...named('item', 'p', 'sum'), children: [{ command: new Reserve('a', 1) }] });
    // The fence of an unowned entity expires after a day; then the entity of a queue by this name is unknown.
    expect(await redis.del(`${prefix}:item-p:$:worker`)).toBe(1);
    await app.queue('item', 'a').resume();
    await eventually('it has run', () => runs.includes('sum p 1'));
  });

  test('an add that fails half-way adds nothing of the flow', async () => {
    await redis.set(`${prefix}:item-bad:wait`, 'no list');
    const flow: FlowNode = {
      command: new ShipOrder('7'),
      options: { idempotencyKey: 'k' },
      children: [
        { command: new Reserve('a', 1) },
        { ...named('item', 'p', 'sum'), children: [{ command: new Reserve('bad', 1) }] },
      ],
    };
    await expect(app.bus.enqueueFlow(flow)).rejects.toMatchObject({ code: 'STORE_REFUSED' });
    for (const [type, id] of [
      ['order', '7'],
      ['item', 'a'],
      ['item', 'p'],
    ] as const) {
      const status = await app.queue(type, id).status();
      expect(status).toMatchObject({ waiting: 0, active: 0, delayed: 0, waitingForChildren: 0 });
    }
    expect((await apps.queueKeys()).filter(key => !/:(id|meta|marker)$/.test(key))).toEqual([
      `${prefix}:item-bad:wait`,
    ]);
    await redis.del(`${prefix}:item-bad:wait`);
    await app.bus.enqueueFlow(flow);
    await app.drained('order', '7');
    expect(runs.slice(-1)).toEqual(['ship 7']);
  });

  test('a flow with a key is added once, even when it has ended', async () => {
    const flow = {
      command: new ShipOrder('7'),
      options: { idempotencyKey: 'request-7' },
      children: [{ command: new Reserve('a', 1) }],
    };
    const first = await app.bus.enqueueFlow(flow);
    await app.drained('order', '7');
    expect(await app.bus.enqueueFlow(flow)).toEqual(first);
    await app.drained('item', 'a');
    await app.drained('order', '7');
    expect(runs).toEqual(['reserve a 1', 'ship 7']);
  });

  test('an invalid flow, or one without room, is refused with a typed error, and adds nothing', async () => {
    const child = { command: new Reserve('a', 1) };
    const refused = (flow: unknown, error: new (...args: never[]) => Error) =>
      expect(app.bus.enqueueFlow(flow as FlowNode)).rejects.toThrow(error);
    const root = { command: new ShipOrder('7') };
    await refused(undefined, InvalidCommandError);
    await refused({ ...root, job: {} }, InvalidCommandError);
    await refused({ ...root, children: child }, InvalidCommandError);
    await refused({ ...root, children: [{}] }, InvalidCommandError);
    await refused({ ...root, childen: [] }, InvalidOptionError);
    await refused({ ...root, onFailure: 'failParent' }, InvalidOptionError);
    await refused({ ...root, children: [{ ...child, onFailure: 'ignore' }] }, InvalidOptionError);
    await refused({ ...root, children: [{ ...child, options: { jobId: 'x' } }] }, InvalidOptionError);
    await refused({ ...root, children: [{ ...child, options: { idempotencyKey: 'x' } }] }, InvalidOptionError);
    await refused({ ...root, options: { deduplication: { id: 'x' } }, children: [child] }, InvalidOptionError);
    await refused({ ...root, options: { jobId: 'a:b' }, children: [child] }, InvalidOptionError);
    await refused({ ...root, children: Array(1000).fill(child) }, InvalidCommandError);
    const endless: { command: object; children: unknown[] } = { ...root, children: [] };
    endless.children.push(endless, endless);
    await refused(endless, InvalidCommandError);
    await refused({ ...root, children: [child, named('full', '1', 'x'), named('full', '1', 'x')] }, BacklogFullError);
    expect(await apps.queueKeys()).toEqual([]);
    expect(runs).toEqual([]);
    await app.bus.enqueueFlow({ ...root, children: Array(999).fill(child) });
    await app.drained('order', '7');
    expect(results[0]).toHaveLength(999);
  });
});
