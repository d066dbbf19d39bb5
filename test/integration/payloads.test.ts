/** Payloads in a Nest application on real Redis: what stands there, what handlers get, and what they put in its place. */
import { SuperJSON } from 'superjson';
import { superjsonCodec } from '../../src/index.js';
import { audit, PayloadApps, seen, Withdraw } from '../support/payload-apps.js';
import { eventually } from '../support/wait.js';

const rich = superjsonCodec(new SuperJSON());
const kept = { removeOnComplete: false };

describe('payloads on Redis', () => {
  let apps: PayloadApps;
  beforeEach(() => {
    apps = new PayloadApps();
  });
  afterEach(() => apps.close());

  const hash = (id: string) => apps.redis.hgetall(apps.key(id));

  test('a rich codec: a command, a job of a processor, their results; BullMQ’s tools see JSON', async () => {
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

  test('what a handler puts in place of its data is written by its codec, and read by the next try', async () => {
    const { bus, queue } = await apps.start({ codec: rich });
    const data = { at: new Date(1), tries: 1n };
    await bus.enqueueJob(audit(data), { attempts: 2 });
    await eventually('it has failed', async () => (await queue.status()).failed === 1);
    expect(seen).toEqual([data, 2n, { ...data, tries: 2n }, 3n]);
    expect((await queue.list('failed'))[0]?.data).toEqual({ ...data, tries: 3n });
  });

  test('nor may it be larger than a payload may be; also of plain JSON', async () => {
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

  test('data that is no JSON fails without a word of it', async () => {
    const { bus } = await apps.start({}, []);
    const { jobId } = await bus.enqueueJob(audit({}));
    await apps.redis.hset(apps.key(jobId), 'data', 'hunter2');
    const { queue } = await apps.start({});
    await eventually('it has failed', async () => (await queue.status()).failed === 1);
    expect((await queue.list('failed'))[0]?.failedReason).toMatch(/not JSON$/);
    expect(apps.logs.join('\n')).not.toContain('hunter2');
  });
});
