/** The stream of events of workers and jobs. */
import { Injectable } from '@nestjs/common';
import type { LifecycleEvent } from '../../../src/core/model/events.js';
import { QueueBus } from '../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../../src/nest/decorators/worker-processor.decorator.js';
import { AtomicQueuesEvents } from '../../../src/nest/events.js';
import { MemoryPods } from '../../support/memory-pods.js';
import { application } from '../../support/nest-application.js';
import { eventually } from '../../support/wait.js';

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('good')
  good() {}
  @JobHandler('bad')
  bad() {
    throw new Error('no funds');
  }
}

test('a worker and its jobs emit events, from the claim to the release', async () => {
  const app = await application([Accounts]);
  await app.init();
  const seen: LifecycleEvent[] = [];
  let isComplete = false;
  app.get(AtomicQueuesEvents).stream.subscribe({
    next: event => seen.push(event),
    complete: () => {
      isComplete = true;
    },
  });
  const job = (name: string) => ({ entityType: 'account', entityId: 7, name });
  const bus = app.get(QueueBus);
  await Promise.all([bus.enqueueJob(job('good')), bus.enqueueJob(job('bad'))]);
  await eventually('it is idle', () => seen.at(-1)?.type === 'worker.idle');
  await app.close();
  expect(seen.map(({ type }) => type)).toEqual([
    'worker.claimed',
    'job.started',
    'job.completed',
    'job.started',
    'job.failed',
    'worker.idle',
    'worker.released',
  ]);
  const of = { entityType: 'account', entityId: '7', fencingToken: expect.stringMatching(/^\d+$/) };
  for (const event of seen) expect(event).toMatchObject(of);
  expect(seen[4]).toMatchObject({
    jobId: '2',
    jobName: 'bad',
    attempt: 1,
    reason: 'no funds',
    durationMs: expect.any(Number),
  });
  expect(isComplete).toBe(true);
});

test('a takeover of a job that ran alone emits events, and so does the loss on the earlier pod', async () => {
  const cluster = new MemoryPods({ instant: false });
  const [a, b] = [await cluster.pod('A'), await cluster.pod('B')];
  const zombie = await a.add('1', 0).then(() => cluster.job(0));
  a.store.break('drop');
  cluster.forget(zombie);
  await cluster.clock.advance(4500);
  a.store.mend();
  await cluster.clock.advance(3000);
  await zombie.end();
  await cluster.job(0).end();
  expect(a.events.map(({ type }) => type)).toEqual(['worker.claimed', 'job.started', 'worker.lost']);
  expect(b.events.slice(0, 3)).toMatchObject([
    { type: 'worker.takeover', recovered: 1, entityId: '1' },
    { type: 'job.stalled', jobId: '1' },
    { type: 'job.started', jobId: '1' },
  ]);
  await cluster.close();
});
