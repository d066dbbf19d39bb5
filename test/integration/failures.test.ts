/** Real failures on real Redis: of connections, of HTTP, and of handlers that try to move their job as BullMQ's handlers do. */
import { createServer, connect as dial } from 'node:net';
import { Injectable, NotFoundException } from '@nestjs/common';
import type { Job } from 'bullmq';
import { HandlerError, JobHandler, WorkerProcessor } from '../../src/index.js';
import { type RedisApp, RedisApps } from '../support/redis-apps.js';

/** A port at which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Node's error for a host with two addresses that both refuse. */
function dialBoth(port: number): Promise<never> {
  const addresses = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 }));
  return new Promise((_, reject) => {
    const lookup = (_host: string, _options: object, done: (error: null, found: typeof addresses) => void) =>
      done(null, addresses);
    dial({ port, host: 'both', autoSelectFamily: true, lookup: lookup as never }).on('error', reject);
  });
}

const MOVES: Record<string, (job: Job) => unknown> = {
  moveToDelayed: job => job.moveToDelayed(Date.now() + 1000, 'token'),
  moveToWait: job => job.moveToWait('token'),
  moveToWaitingChildren: job => job.moveToWaitingChildren('token'),
  moveToCompleted: job => job.moveToCompleted('done', 'token', false),
  moveToFailed: job => job.moveToFailed(new Error('by hand'), 'token', false),
  changeDelay: job => job.changeDelay(1000),
  changePriority: job => job.changePriority({ priority: 1 }),
  promote: job => job.promote(),
  retry: job => job.retry('failed'),
  remove: job => job.remove(),
};

let port: number;

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  @JobHandler('dial')
  dial() {
    return dialBoth(port);
  }

  @JobHandler('fetch')
  fetch() {
    return fetch(`http://127.0.0.1:${port}/`);
  }

  @JobHandler('find')
  find() {
    throw new NotFoundException('no such account');
  }

  @JobHandler('move')
  async move(job: Job<{ how: string }>) {
    try {
      await MOVES[job.data.how]?.(job);
      return 'moved';
    } catch (error) {
      return `${(error as HandlerError).code} ${(error as HandlerError).message}`;
    }
  }
}

describe('failures', () => {
  const apps = new RedisApps({ providers: [Accounts] });
  let app: RedisApp;

  beforeAll(async () => {
    port = await closedPort();
    app = await apps.start();
  });
  afterAll(async () => {
    await apps.clear();
    await apps.quit();
  });

  async function failureOf(name: string) {
    const entityId = name;
    const call = app.bus.enqueueJobAndWait({ entityType: 'account', entityId, name }, { timeoutMs: 10_000 });
    const error: HandlerError = await call.then(
      () => undefined as never,
      reason => reason,
    );
    expect(error).toBeInstanceOf(HandlerError);
    const [failed] = await app.queue('account', entityId).list('failed');
    return { error, reason: failed?.failedReason };
  }

  test('a host with two addresses that refuse: the operator and the caller see both', async () => {
    const { error, reason } = await failureOf('dial');
    const both = [`connect ECONNREFUSED 127.0.0.1:${port}`, `connect ECONNREFUSED 127.0.0.2:${port}`];
    expect(reason).toBe(`AggregateError [ECONNREFUSED]: ${both.join('; ')}`);
    expect(error).toMatchObject({
      message: reason,
      originalName: 'AggregateError',
      originalCode: 'ECONNREFUSED',
      errors: both.map(message => ({ message, code: 'ECONNREFUSED' })),
    });
  });

  test('a failed fetch shows its cause', async () => {
    const { error, reason } = await failureOf('fetch');
    expect(reason).toBe(`fetch failed: connect ECONNREFUSED 127.0.0.1:${port}`);
    expect(error).toMatchObject({
      message: 'fetch failed',
      originalName: 'TypeError',
      cause: { code: 'ECONNREFUSED' },
    });
  });

  test('an HttpException shows its status and its response', async () => {
    const { error, reason } = await failureOf('find');
    expect(reason).toBe('no such account');
    expect(error).toMatchObject({
      message: 'no such account',
      originalName: 'NotFoundException',
      status: 404,
      response: { statusCode: 404, error: 'Not Found', message: 'no such account' },
    });
  });

  test.each(Object.keys(MOVES))(
    'a handler that calls %s on its job is refused, and its job ends by its own result',
    async how => {
      const job = { entityType: 'account', entityId: how, name: 'move', data: { how } };
      const outcome = app.bus.enqueueJobAndWait(job, { timeoutMs: 10_000 });
      await expect(outcome).resolves.toMatch(/^UNSUPPORTED A handler can't call \w+ on its job/);
    },
  );
});
