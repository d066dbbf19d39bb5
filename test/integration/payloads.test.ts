/** Payloads in a Nest application on real Redis: what is stored, what handlers get, and what they write back. */
import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { SuperJSON } from 'superjson';
import { z } from 'zod';
import { BatchHandler, type JobContext, JobHandler, superjsonCodec, WorkerProcessor } from '../../src/index.js';
import { audit, PayloadApps, seen, Withdraw } from '../support/payload-apps.js';
import { eventually } from '../support/wait.js';

const rich = superjsonCodec(new SuperJSON());
const kept = { removeOnComplete: false };

@WorkerProcessor({ entityType: 'item' })
@Injectable()
class Items {
  @JobHandler('price')
  price({ data }: Job<{ at: Date }>) {
    return { at: data.at, cents: 2n ** 70n };
  }
}

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Meters {
  @JobHandler('sum')
  async sum(job: Job, _: string, context: JobContext) {
    seen.push((await context.children()).map(({ outcome }) => outcome));
    seen.push(Object.values(await job.getChildrenValues()));
  }
  @JobHandler('name')
  name() {
    return { plain: true };
  }
  @JobHandler('note')
  note({ data }: Job, _: string, { contextValues }: JobContext) {
    seen.push([data, contextValues]);
  }
  @BatchHandler('reading', { max: 10, schema: z.object({ kWh: z.bigint().positive(), at: z.date() }) })
  async read(jobs: Job<{ kWh: bigint; at: Date }>[]) {
    seen.push(jobs.map(({ data }) => data));
    await jobs[0]?.updateData({ kWh: 99n, at: new Date(9) });
    return jobs.map(({ data }) => data.kWh);
  }
}

describe('payloads on Redis', () => {
  let apps: PayloadApps;
  beforeEach(() => {
    apps = new PayloadApps();
  });
  afterEach(() => apps.close());

  const hash = (id: string) => apps.redis.hgetall(apps.key(id));

  test('a rich codec works for a command, a job of a processor, and their results; BullMQ’s tools see JSON', async () => {
    const { bus, queue } = await apps.start({ codec: rich });
    const at = new Date(5);
    const { jobId } = await bus.enqueue(new Withdraw('1', 2n ** 70n, at), kept);
    const { jobId: auditId } = await bus.enqueueJob(audit({ at }), kept);
    await queue.drain();
    expect(seen[0]).toBeInstanceOf(Withdraw);
    expect({ ...(seen[0] as object) }).toEqual({ accountId: '1', amount: 2n ** 70n, at });
    expect(seen[1]).toEqual({ at });
    const tool = await queue.getQueue();
    const job = await tool.getJob(jobId);
    expect(job?.data).toMatchObject({ json: { accountId: '1', amount: String(2n ** 70n), at: at.toJSON() } });
    expect(job?.returnvalue).toMatchObject({ json: { paid: String(2n ** 70n) } });
    await tool.close();
    expect(await hash(jobId)).toMatchObject({ aq: '{"codec":"superjson"}' });
    expect((await queue.list('completed')).map(({ data }) => data)).toEqual([
      { at },
      { accountId: '1', amount: 2n ** 70n, at },
    ]);
    expect(JSON.parse((await hash(auditId))['returnvalue'] ?? '')).toMatchObject({
      meta: { values: ['map', { '0.1': ['Date'] }] },
    });
  });

  test('a job that replaces a delayed one is decoded by its codec, and replied to', async () => {
    const { bus } = await apps.start({ codec: rich });
    const replaced = { delay: 60_000, deduplication: { id: 'k', ttl: 60_000, replace: true } };
    const { jobId } = await bus.enqueueJob(audit({ at: new Date(1) }), replaced);
    const at = new Date(2);
    const answer = bus.enqueueJobAndWait(audit({ at }), { ...replaced, delay: 50, timeoutMs: 5000 });
    expect(await answer).toEqual(new Map([['done', at]]));
    expect(seen).toEqual([{ at }]);
    expect(await hash(jobId)).toEqual({});
  });

  test('data that a handler sets is written by the codec of the job, and read by the next attempt', async () => {
    const { bus, queue } = await apps.start({ codec: rich });
    const data = { at: new Date(1), tries: 1n };
    await bus.enqueueJob(audit(data), { attempts: 2 });
    await eventually('it has failed', async () => (await queue.status()).failed === 1);
    expect(seen).toEqual([data, 2n, { ...data, tries: 2n }, 3n]);
    expect((await queue.list('failed'))[0]?.data).toEqual({ ...data, tries: 3n });
  });

  test('data that a handler sets may not be larger than a payload, in plain JSON as well', async () => {
    for (const codec of [undefined, rich]) {
      const { bus, queue } = await apps.start({ codec, maxPayloadBytes: 100 });
      const { jobId } = await bus.enqueueJob({ entityType: 'account', entityId: '1', name: 'grow', data: { n: 1 } });
      await eventually('it has failed', async () => (await queue.list('failed'))[0]?.jobId === jobId);
      expect((await queue.list('failed'))[0]).toMatchObject({
        data: { n: 1 },
        failedReason: expect.stringMatching(/Job "grow" has \d+ bytes of data, more than its maxPayloadBytes of 100/),
      });
      await apps.stop();
    }
  });

  test('plain jobs have no envelope', async () => {
    const { bus } = await apps.start({}, []);
    const { jobId } = await bus.enqueueJob(audit({ n: 1 }));
    expect(await hash(jobId)).not.toHaveProperty('aq');
  });

  test('a job with data that is no JSON fails, and its reason shows nothing of the data', async () => {
    const { bus } = await apps.start({}, []);
    const { jobId } = await bus.enqueueJob(audit({}));
    await apps.redis.hset(apps.key(jobId), 'data', 'hunter2');
    const { queue } = await apps.start({});
    await eventually('it has failed', async () => (await queue.status()).failed === 1);
    expect((await queue.list('failed'))[0]?.failedReason).toMatch(/not JSON$/);
    expect(apps.logs.join('\n')).not.toContain('hunter2');
  });

  test('a parent reads the results of its children, each by its own codec; BullMQ’s tools see JSON', async () => {
    const { bus, queue } = await apps.start({ entities: { item: { codec: rich } } }, [Items, Meters]);
    const at = new Date(5);
    await bus.enqueueFlow({
      job: { entityType: 'account', entityId: '1', name: 'sum' },
      children: [
        { job: { entityType: 'item', entityId: '7', name: 'price', data: { at } } },
        { job: { entityType: 'account', entityId: '2', name: 'name' } },
      ],
    });
    await eventually('the parent has run', () => seen.length === 2);
    await queue.drain();
    const value = { at, cents: 2n ** 70n };
    expect(seen[0]).toEqual([
      { kind: 'completed', value },
      { kind: 'completed', value: { plain: true } },
    ]);
    expect(seen[1]).toEqual(
      expect.arrayContaining([expect.objectContaining({ meta: expect.anything() }), { plain: true }]),
    );
  });

  test('each run of a schedule has its payload by its codec, and the context of the schedule() call', async () => {
    let tenant = 'one';
    const context: NonNullable<Parameters<PayloadApps['start']>[0]['context']> = {
      keys: ['tenant'],
      get: () => ({ tenant }),
      run: (_, callback) => callback(),
    };
    const { bus, queue } = await apps.start({ codec: rich, context }, [Meters]);
    const data = { at: new Date(5), cents: 5n };
    await bus.scheduleJob({ entityType: 'account', entityId: '1', name: 'note', data }, { id: 's', every: 200 });
    tenant = 'later';
    expect(await queue.schedules()).toMatchObject([{ id: 's', data }]);
    await eventually('it has run twice', () => seen.length >= 2);
    await queue.unschedule('s');
    expect(seen.slice(0, 2)).toEqual(Array(2).fill([data, { tenant: 'one' }]));
  });

  test('the jobs of a batch have decoded data; an invalid one fails by itself', async () => {
    const producer = await apps.start({ codec: rich }, []);
    const at = new Date(5);
    const ids: string[] = [];
    for (const kWh of [1n, -2n, 3n]) {
      const job = { entityType: 'account', entityId: '1', name: 'reading', data: { kWh, at } };
      ids.push((await producer.bus.enqueueJob(job, kept)).jobId);
    }
    const { bus, queue } = await apps.start({ codec: rich }, [Meters]);
    await queue.drain();
    expect(seen[0]).toEqual([
      { kWh: 1n, at },
      { kWh: 3n, at },
    ]);
    expect(await queue.list('failed')).toMatchObject([
      {
        jobId: ids[1],
        data: { kWh: -2n, at },
        failedReason: expect.stringMatching(/^Job "reading" has invalid data: kWh/),
      },
    ]);
    const completed = await queue.list('completed');
    expect(completed.map(({ data }) => data)).toEqual([
      { kWh: 3n, at },
      { kWh: 99n, at: new Date(9) },
    ]);
    expect((await hash(ids[2] as string))['returnvalue']).toBe('{"json":"3","meta":{"values":["bigint"],"v":1}}');
    // A pod with the handler also checks the job at enqueue.
    const invalid = { entityType: 'account', entityId: '1', name: 'reading', data: { kWh: 0n, at } };
    await expect(bus.enqueueJob(invalid)).rejects.toMatchObject({ code: 'VALIDATION_FAILED', stage: 'enqueue' });
    await expect(bus.forProcessor(Meters).enqueueJob(invalid)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await expect(producer.bus.forProcessor(Meters).enqueueJob(invalid)).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    await expect(
      bus.enqueueFlow({ job: { ...invalid, name: 'sum' }, children: [{ job: invalid }] }),
    ).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await queue.status()).toMatchObject({ waiting: 0, waitingForChildren: 0 });
  });

  test('a caller gets the result as the handler returned it, for a kept job of a former codec as well', async () => {
    const wait = { timeoutMs: 10_000, jobId: 'one', ...kept };
    const job = { entityType: 'item', entityId: '7', name: 'price', data: { at: new Date(5) } };
    const { bus } = await apps.start({ codec: rich }, [Items]);
    const value = { at: new Date(5), cents: 2n ** 70n };
    expect(await bus.enqueueJobAndWait(job, wait)).toEqual(value);
    expect(await bus.enqueueJobAndWait(job, { timeoutMs: 10_000 })).toEqual(value);
    const later = await apps.start({ readCodecs: [rich] }, []);
    expect(await later.bus.enqueueJobAndWait(job, wait)).toEqual(value);
    const without = await apps.start({}, []);
    await expect(without.bus.enqueueJobAndWait(job, wait)).rejects.toMatchObject({ code: 'RESULT_UNAVAILABLE' });
  });
});
