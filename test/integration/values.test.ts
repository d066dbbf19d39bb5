/**
 * What payloads and results carry, on real Redis, from `QueueBus` to a handler and back: one table for both sides. A value that would
 * arrive with less content is refused, and the error names its place, without its content.
 */
import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { JobHandler, type QueueBus, WorkerProcessor } from '../../src/index.js';
import { PayloadApps, seen, Withdraw } from '../support/payload-apps.js';
import { CARRIED, clauseOf, placed, placedAs, REFUSED, SECRET, VALUE_TABLE } from '../support/value-table.js';
import { eventually } from '../support/wait.js';

const valueFor = (job: Job<{ row: string }>) => placed(VALUE_TABLE.find(({ label }) => label === job.data.row)?.make());

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Values {
  @JobHandler('take')
  take(job: Job) {
    seen.push(job.data);
  }
  @JobHandler('give')
  async give(job: Job<{ row: string }>) {
    return valueFor(job);
  }
  @JobHandler('update')
  async update(job: Job<{ row: string }>) {
    await job.updateData(valueFor(job) as never);
  }
  @JobHandler('report')
  async report(job: Job<{ row: string }>) {
    await job.updateProgress(valueFor(job));
  }
  @JobHandler('report nothing')
  async reportNothing(job: Job) {
    await job.updateProgress(undefined as never);
  }
}

describe('values', () => {
  const apps = new PayloadApps();
  let bus: QueueBus;
  let queue: Awaited<ReturnType<PayloadApps['start']>>['queue'];
  beforeAll(async () => {
    ({ bus, queue } = await apps.start({}, [Values]));
  });
  afterAll(() => apps.close());
  beforeEach(() => {
    seen.length = 0;
    apps.logs.length = 0;
  });
  afterEach(() => expect(apps.logs.join('\n')).not.toContain(SECRET));

  const job = (name: string, data?: unknown) => ({ entityType: 'account', entityId: '1', name, data });
  const warnings = () => apps.logs.filter(line => line.includes('completed, but'));
  const wait = { timeoutMs: 20_000 };
  /** What a call rejects with; its text is that of all it was caused by. */
  const failureOf = async (call: Promise<unknown>) => {
    const error = await call.then(
      value => new Error(`it was not refused, and gave ${JSON.stringify(value)}`),
      (error: Error & { code?: string }) => error,
    );
    expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain(SECRET);
    return error;
  };

  test.each(CARRIED)('$label is carried, in a payload and in a result', async row => {
    await bus.enqueueJobAndWait(job('take', placed(row.make())), wait);
    expect(seen).toEqual([placedAs(row)]);
    expect(await bus.enqueueJobAndWait(job('give', { row: row.label }), wait)).toEqual(placedAs(row));
    expect(warnings()).toEqual([]);
  });

  test.each(REFUSED)('$label is refused, in a payload and in a result', async row => {
    const refused = await failureOf(bus.enqueueJob(job('take', placed(row.make()))));
    expect(refused).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
    expect(refused.message).toMatch(/^Job "take" has data that can't be stored: .*\. Nothing was written; /);
    expect(refused.message).toContain(`${clauseOf(row)}.`);
    // The work of the job is done.
    const withheld = await failureOf(bus.enqueueJobAndWait(job('give', { row: row.label }), wait));
    expect(withheld).toMatchObject({ code: 'RESULT_UNAVAILABLE' });
    expect(withheld.message).toContain(`has completed, but its result can't be stored (`);
    expect(withheld.message).toContain(`${clauseOf(row)}), so null is stored instead.`);
    expect(warnings()).toEqual([expect.stringContaining(`${clauseOf(row)}), so null is stored as its result.`)]);
    expect(seen).toEqual([]);
  });

  test('a bulk, a flow or a schedule with one refused payload adds nothing', async () => {
    const good = job('take', {});
    const bad = job('take', { scores: new Map([[SECRET, 1]]) });
    const every = { id: 'refused', every: 60_000 };
    const account = bus.forEntity('account');
    for (const call of [
      () =>
        bus.enqueueBulk([new Withdraw('1', 1 as never, {} as never), new Withdraw('1', 1 as never, bad.data as never)]),
      () => bus.enqueueFlow({ job: good, children: [{ job: good }, { job: bad }] }),
      () => bus.enqueueFlow({ job: bad, children: [{ job: good }] }),
      () => bus.scheduleJob(bad, every),
      () => account.enqueueJob({ entityId: '1', name: 'take', data: bad.data }),
      () => bus.enqueueJobAndWait(bad, wait),
    ]) {
      const error = await failureOf(call());
      expect(error).toMatchObject({ code: 'UNSERIALIZABLE_DATA' });
      expect(error.message).toMatch(/: (at\.)?scores is an instance of Map/);
    }
    expect(await queue.schedules()).toEqual([]);
    expect(await queue.status()).toMatchObject({ waiting: 0, active: 0, delayed: 0, waitingForChildren: 0 });
    expect(seen).toEqual([]);
  });

  test.each(['update', 'report'])('what a handler writes to its job follows the same table: %s', async name => {
    for (const row of REFUSED) {
      const error = await failureOf(bus.enqueueJobAndWait(job(name, { row: row.label }), wait));
      expect(error).toMatchObject({ code: 'HANDLER_FAILED', originalCode: 'UNSERIALIZABLE_DATA' });
      expect(error.message).toContain(clauseOf(row));
    }
    for (const { label } of CARRIED) expect(await bus.enqueueJobAndWait(job(name, { row: label }), wait)).toBeNull();
  });

  test('a job whose progress was undefined can be read by its next attempt', async () => {
    const { jobId } = await bus.enqueueJob(job('report nothing'), { attempts: 2 });
    // Other tests of this file leave failed jobs on the same entity.
    const found = async () => (await queue.list('failed', { limit: 100 })).find(failed => failed.jobId === jobId);
    await eventually('it has failed', async () => (await found()) !== undefined);
    const failed = await found();
    expect(failed).toMatchObject({ jobId, attemptsMade: 2 });
    expect(failed?.failedReason).toContain("can't be stored: it is undefined");
  });
});
