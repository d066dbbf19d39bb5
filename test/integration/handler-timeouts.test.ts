/** A handler that was given up after `handlerTimeoutMs`, on Redis: its later writes are refused (race 39, race 18). */
import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { type JobContext, JobHandler, WorkerProcessor } from '../../src/index.js';
import { RedisApps } from '../support/redis-apps.js';
import { eventually, gate } from '../support/wait.js';

interface Started {
  readonly job: Job;
  readonly context: JobContext;
}

const started: Started[] = [];
const zombie = gate();

@WorkerProcessor({ entityType: 'account', workerConfig: { handlerTimeoutMs: 100 } })
@Injectable()
class Accounts {
  @JobHandler('*')
  async run(job: Job, _: string, context: JobContext) {
    started.push({ job, context });
    if (job.name === 'hangs') await zombie.promise;
    return context.fencingToken;
  }
}

describe('a handler timeout', () => {
  const apps = new RedisApps({ providers: [Accounts] });

  afterEach(() => apps.clear());
  afterAll(() => apps.quit());

  test('after a handler timeout the next job has a newer token, and writes of the old handler to its job are refused', async () => {
    const app = await apps.start();
    const entity = { entityType: 'account', entityId: '1' };
    const account = app.queue('account', '1');
    const hung = app.bus
      .enqueueJobAndWait({ ...entity, name: 'hangs', data: {} }, { timeoutMs: 30_000 })
      .catch((error: unknown) => error);
    await eventually('it runs', () => started.length === 1);
    const next = app.bus.enqueueJobAndWait({ ...entity, name: 'next', data: {} }, { timeoutMs: 30_000 });
    expect(await hung).toMatchObject({ code: 'HANDLER_FAILED', originalCode: 'HANDLER_TIMEOUT' });
    const [{ job, context }] = started as [Started];
    expect(BigInt(String(await next))).toBeGreaterThan(BigInt(context.fencingToken));
    expect(context.signal.aborted).toBe(true);
    await expect(job.updateProgress(50)).rejects.toMatchObject({ code: 'STALE_CLAIM' });
    await expect(job.log('still here')).rejects.toMatchObject({ code: 'STALE_CLAIM' });
    expect(await account.status()).toMatchObject({ failed: 1, active: 0 });
    zombie.open();
    // Its end comes too late to count.
    expect(await account.list('failed')).toMatchObject([
      { name: 'hangs', failedReason: expect.stringMatching(/handlerTimeoutMs \(100\)/) },
    ]);
  });
});
