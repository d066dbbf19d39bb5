/** Shared reads in applications on real Redis: from two pods, alongside writes, with failures, and with a pod that loses its claim. */
import { Injectable } from '@nestjs/common';
import { CommandHandler, CqrsModule, type ICommandHandler, QueryHandler } from '@nestjs/cqrs';
import { JobHandler, QueueEntity, QueueEntityId, WorkerProcessor } from '../../src/index.js';
import { Query } from '../support/cqrs.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';
import { eventually, type Gate, gate } from '../support/wait.js';

@QueueEntity('account', { shared: true })
class Balance extends Query<number> {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly n = 0,
  ) {
    super();
  }
}

@QueueEntity('account')
class Deposit {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

/** One for all pods of this process, in place of a database; it also counts the readers and writers. */
const world = {
  balance: 0,
  reading: 0,
  mostReading: 0,
  isWriting: false,
  faults: [] as string[],
  read: async (_n: number): Promise<void> => {},
};

@QueryHandler(Balance)
class BalanceHandler {
  async execute({ n }: Balance) {
    if (world.isWriting) world.faults.push('a read beside a write');
    world.reading++;
    world.mostReading = Math.max(world.mostReading, world.reading);
    const seen = world.balance;
    try {
      await world.read(n);
      if (world.balance !== seen) world.faults.push('a write during a read');
    } finally {
      world.reading--;
    }
    return seen;
  }
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute({ amount }: Deposit) {
    if (world.reading > 0 || world.isWriting) world.faults.push('a write beside another job');
    world.isWriting = true;
    const before = world.balance;
    await new Promise(resolve => setImmediate(resolve));
    world.balance = before + amount;
    world.isWriting = false;
  }
}

@WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 60 })
@Injectable()
class Accounts {
  @JobHandler('peek', { shared: true })
  peek({ data }: { data: { n: number } }) {
    return new BalanceHandler().execute(new Balance('', data.n));
  }
}

describe('shared reads', () => {
  const apps = new RedisApps(
    { imports: [CqrsModule], providers: [Accounts, BalanceHandler, DepositHandler] },
    { entities: { account: { maxSharedReads: 8 } } },
  );
  const { redis, prefix } = apps;
  let pods: readonly [RedisApp, RedisApp];

  beforeEach(async () => {
    Object.assign(world, {
      balance: 0,
      reading: 0,
      mostReading: 0,
      isWriting: false,
      faults: [],
      read: async () => {},
    });
    pods = [await apps.start(), await apps.start()];
  });
  afterEach(async () => {
    await apps.clear();
    expect(world.faults).toEqual([]);
  });
  afterAll(() => apps.quit());

  const bus = (pod: 0 | 1) => pods[pod].bus;
  const account = () => pods[0].queue('account', '1');
  const drained = () => pods[0].drained('account', '1', 15_000);
  /** Holds all reads until the test opens the gate. */
  const hold = (): Gate => {
    const held = gate();
    world.read = () => held.promise;
    return held;
  };

  test('reads of two pods run at the same time, start while others run, and a write waits for all', async () => {
    const held = hold();
    const ask = { timeoutMs: 15_000 };
    const answers = [bus(0).enqueueAndWait(new Balance('1'), ask)];
    await eventually('the first runs', () => world.reading === 1);
    for (const pod of [1, 0, 1] as const) {
      const before = world.reading;
      answers.push(bus(pod).enqueueAndWait(new Balance('1'), ask));
      await eventually('the next runs', () => world.reading === before + 1);
    }
    await bus(1).enqueue(new Deposit('1', 5));
    answers.push(bus(0).enqueueAndWait(new Balance('1'), ask));
    await eventually('all are in the queue', async () => {
      const { waiting, active } = await account().status();
      return waiting + active === 6;
    });
    expect([world.reading, world.balance]).toEqual([4, 0]);
    held.open();
    expect(await Promise.all(answers)).toEqual([0, 0, 0, 0, 5]);
  });

  test('hundreds of reads and writes from two pods: each read sees all writes before it, and no other', async () => {
    world.read = () => new Promise(resolve => setImmediate(resolve));
    let deposited = 0;
    const seen: Promise<void>[] = [];
    for (let round = 0; round < 60; round++) {
      const pod = round % 2 === 0 ? 0 : 1;
      for (let i = 0; i < 12; i++) {
        const expected = deposited;
        const read = bus(pod).enqueueAndWait(new Balance('1'), { timeoutMs: 20_000 });
        seen.push(read.then(balance => expect(balance).toBe(expected)));
      }
      deposited++;
      // The order between two pods is that in which their enqueues were acknowledged.
      await bus(pod).enqueue(new Deposit('1', 1));
    }
    await Promise.all(seen);
    await drained();
    expect(world.balance).toBe(60);
    expect(world.mostReading).toBeGreaterThan(1);
    expect(world.mostReading).toBeLessThanOrEqual(8);
  });

  test('a failed read is the next job again; reads alongside it end by themselves', async () => {
    const gates = [gate(), gate()];
    let tries = 0;
    world.read = async n => {
      if (n === 0 && tries++ > 0) return;
      await gates[n]?.promise;
    };
    const peek = (n: number) =>
      bus(0).enqueueJob({ entityType: 'account', entityId: '1', name: 'peek', data: { n } }, { attempts: 2 });
    await peek(0);
    await peek(1);
    await eventually('both run', () => world.reading === 2);
    await bus(1).enqueue(new Deposit('1', 1));
    gates[0]?.fail(new Error('not now'));
    await eventually('it has run again', () => tries === 2 && world.reading === 1);
    expect(world.balance).toBe(0);
    gates[1]?.open();
    await drained();
    expect([world.balance, (await account().status()).failed]).toEqual([1, 0]);
  });

  test('race 7: reads of a pod that has lost its claim run again, one at a time, before later jobs', async () => {
    const held = hold();
    for (const n of [0, 1, 2]) await bus(0).enqueue(new Balance('1', n));
    await eventually('all run', () => world.reading === 3);
    await bus(0).enqueue(new Deposit('1', 1));
    await redis.hset(`${prefix}:account:1:queue:$:worker`, 'owner', 'somebody', 'until', '1');
    const again: number[] = [];
    let atOnce = 0;
    await eventually('another owner has it, or the same one anew', async () => {
      const owner = await redis.hget(`${prefix}:account:1:queue:$:worker`, 'owner');
      return owner !== 'somebody';
    });
    world.read = async n => {
      again.push(n);
      if (atOnce++ > 0) world.faults.push('two reads of a dead owner at once');
      await new Promise(resolve => setImmediate(resolve));
      atOnce--;
    };
    held.open();
    await drained();
    expect(world.balance).toBe(1);
    expect(again.slice(-2)).toEqual([1, 2]);
  });

  test('I8: a drained entity leaves no key but its fence, which has no trace of reads', async () => {
    await bus(0).enqueue(new Balance('1'));
    await bus(0).enqueue(new Balance('1'));
    await drained();
    await apps.closeAll();
    const keys = await redis.keys(`${prefix}:account:1:*`);
    expect(keys.filter(key => !key.endsWith(':events'))).toEqual([`${prefix}:account:1:queue:$:worker`]);
    expect(await redis.hkeys(`${prefix}:account:1:queue:$:worker`)).not.toContain('gathers');
  });
});
