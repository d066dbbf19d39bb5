/** Batch handlers as an application declares them: which are refused, and what their methods receive. */
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { HandlerTable } from '../../../../src/core/handlers/handler-table.js';
import type { EntityContext } from '../../../../src/core/model/job.js';
import { BatchFailure } from '../../../../src/core/model/job-errors.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { currentEntity, currentJob } from '../../../../src/nest/current-job.js';
import { BatchHandler, JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { exploreProcessors } from '../../../../src/nest/handlers/explorer.js';
import { RecordingLog } from '../../../support/log.js';
import { application } from '../../../support/nest-application.js';
import { eventually } from '../../../support/wait.js';

@Injectable()
class Repository {
  readonly seen: { entity: EntityContext | undefined; job: unknown }[] = [];
  async save() {
    await pause(1);
    let job: unknown;
    try {
      job = currentJob();
    } catch (error) {
      job = (error as { code: string }).code;
    }
    this.seen.push({ entity: currentEntity(), job });
  }
}

@WorkerProcessor({ entityType: 'account' })
class Accounts {
  readonly calls: { jobs: { name: string; data: unknown }[]; entityId: string; context: EntityContext }[] = [];
  constructor(@Inject(Repository) private readonly repository: Repository) {}
  @BatchHandler('reading', { max: 10 })
  async store(jobs: { name: string; data: unknown }[], entityId: string, context: EntityContext) {
    this.calls.push({ jobs, entityId, context });
    await this.repository.save();
  }
  @JobHandler('audit')
  audit() {
    return this.repository.save();
  }
}

describe('batch handlers', () => {
  test('receive their jobs, the entity and a context, on their instance, and code below sees the same', async () => {
    const app = await application([Repository, Accounts]);
    await app.init();
    const job = (n: number) => ({ entityType: 'account', entityId: '7', name: 'reading', data: { n } });
    await app.get(QueueBus).enqueueJob(job(0));
    await Promise.all([1, 2].map(n => app.get(QueueBus).enqueueJob(job(n))));
    const { calls } = app.get(Accounts);
    const { seen } = app.get(Repository);
    await eventually('all have run', () => calls.flatMap(({ jobs }) => jobs).length === 3);
    expect(calls.flatMap(({ jobs }) => jobs).map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
    await eventually('all have saved', () => seen.length === calls.length);
    expect(calls[0]).toMatchObject({ entityId: '7', context: { entityType: 'account', entityId: '7' } });
    expect(calls[0]?.context.fencingToken).toMatch(/^\d+$/);
    expect(calls[0]?.context).not.toHaveProperty('job');
    expect(seen[0]).toEqual({ entity: calls[0]?.context, job: 'UNSUPPORTED' });
    await app.get(QueueBus).enqueueJob({ entityType: 'account', entityId: '8', name: 'audit' });
    await eventually('the other one has run', () => seen.some(({ entity }) => entity?.entityId === '8'));
    expect(seen.at(-1)).toMatchObject({ job: { attempt: 1, entityId: '8' } });
    expect(currentEntity()).toBeUndefined();
    await app.close();
  });

  test.each([
    ['no options', undefined, 'needs its options'],
    ['no max', {}, 'max must be'],
    ['a max of 0', { max: 0 }, 'max must be'],
    ['a broken max', { max: 1.5 }, 'max must be'],
    ['a max above the size of a call', { max: 257 }, 'max must be'],
    ['a negative wait', { max: 2, maxWaitMs: -1 }, 'maxWaitMs must be'],
    ['a wait longer than a timer can wait', { max: 2, maxWaitMs: 2 ** 31 }, 'maxWaitMs must be'],
    ['a typo', { max: 2, maxWait: 5 }, 'maxWait; known here: max, maxWaitMs, schema'],
    ['an invalid schema', { max: 2, schema: {} }, 'Standard Schema'],
  ])('with %s are refused at import', (_, options, message) => {
    expect(() => BatchHandler('x', options as never)(new Accounts(new Repository()), 'store', {})).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });

  test.each(['', '*', undefined])('must have one name: %j is refused', name => {
    expect(() => BatchHandler(name as never, { max: 2 })(new Accounts(new Repository()), 'store', {})).toThrow(
      expect.objectContaining({ code: 'INVALID_COMMAND', message: expect.stringContaining('Accounts.store') }),
    );
  });

  test('on a static method are refused at import', () => {
    expect(() => BatchHandler('x', { max: 2 })(Accounts, 'store', {})).toThrow(
      expect.objectContaining({ code: 'INVALID_COMMAND', message: expect.stringContaining('static') }),
    );
  });

  describe('a name with two handlers is refused', () => {
    const conflict = expect.objectContaining({ code: 'HANDLER_CONFLICT' });

    test('if one is of each kind in one class, on one method or two, in either order', () => {
      class Both {
        one() {}
        many() {}
      }
      JobHandler('a')(Both.prototype, 'one', {});
      expect(() => BatchHandler('a', { max: 2 })(Both.prototype, 'many', {})).toThrow(conflict);
      expect(() => BatchHandler('a', { max: 2 })(Both.prototype, 'one', {})).toThrow(conflict);
      BatchHandler('b', { max: 2 })(Both.prototype, 'many', {});
      expect(() => JobHandler('b')(Both.prototype, 'one', {})).toThrow(conflict);
      expect(() => BatchHandler('b', { max: 2 })(Both.prototype, 'one', {})).toThrow(conflict);
    });

    test('if they are in two classes', () => {
      const handlers = new HandlerTable();
      handlers.add('account', 'reading', { runner: () => {}, origin: 'Others.read' });
      const provider = { target: Accounts, instance: new Accounts(new Repository()), isStatic: true };
      expect(() => exploreProcessors([provider], handlers, new RecordingLog())).toThrow(conflict);
    });
  });

  test('batch handlers without a @WorkerProcessor are refused at start', () => {
    class Lost {
      @BatchHandler('a', { max: 2 })
      many() {}
    }
    const provider = { target: Lost, instance: new Lost(), isStatic: true };
    expect(() => exploreProcessors([provider], new HandlerTable(), new RecordingLog())).toThrow(
      /Lost has .* no @WorkerProcessor/,
    );
  });

  test.each([
    ['prefetch', { workerConfig: { prefetch: 9 } }, 9],
    ['the handlers at once', { workerConfig: { concurrency: 30 } }, 8],
  ])('a batch that is larger than the limit of %s is refused at start', async (_, account, most) => {
    const app = await application([Repository, Accounts], { entities: { account } });
    await expect(app.init()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(new RegExp(`Accounts\\.store: max is 10, .* at most ${most} jobs`)),
    });
  });

  test('a BatchFailure says how many jobs failed, and the first reason', () => {
    const failure = new BatchFailure([{ job: { id: '1' }, error: new Error('no such account') }]);
    expect(failure).toMatchObject({ code: 'BATCH_FAILURE', name: 'BatchFailure' });
    expect(failure.message).toContain('no such account');
    expect(BatchFailure.is(failure)).toBe(true);
    // An error of the other module format of this package.
    expect(BatchFailure.is(Object.assign(new Error(), { code: 'BATCH_FAILURE', failures: [{}] }))).toBe(true);
    for (const other of [new Error('x'), 'text', undefined, new BatchFailure([])]) {
      expect(BatchFailure.is(other)).toBe(false);
    }
  });
});
