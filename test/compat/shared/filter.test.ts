/** An HTTP application of an older Nest: an error of a handler reaches the client that waits, as if the controller had thrown it. */
import { randomBytes } from 'node:crypto';
import {
  Controller,
  Get,
  HttpException,
  type INestApplication,
  Injectable,
  Module,
  NotFoundException,
  Param,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { AtomicQueuesModule, HandlerErrorFilter, JobHandler, QueueBus, WorkerProcessor } from 'atomic-queues';
import type { Job } from 'bullmq';

const THROWN: Record<string, () => Error> = {
  missing: () => new NotFoundException('no such account'),
  text: () => new HttpException('gone', 410),
  own: () => new HttpException({ kind: 'teapot' }, 418),
  other: () => new Error('no money'),
};

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class AccountProcessor {
  @JobHandler('fail')
  fail(job: Job<{ how: string }>) {
    throw THROWN[job.data.how]?.();
  }
}

@Controller()
class AccountsController {
  constructor(private readonly bus: QueueBus) {}

  @Get('waited/:how')
  waited(@Param('how') how: string) {
    const job = { entityType: 'account', entityId: '7', name: 'fail', data: { how } };
    return this.bus.enqueueJobAndWait(job, { timeoutMs: 10_000 });
  }

  @Get('direct/:how')
  direct(@Param('how') how: string) {
    throw THROWN[how]?.();
  }
}

@Module({
  imports: [
    AtomicQueuesModule.forRoot({
      redis: { url: process.env['REDIS_URL'] },
      keyPrefix: `compat-${randomBytes(4).toString('hex')}`,
    }),
  ],
  controllers: [AccountsController],
  providers: [AccountProcessor, { provide: APP_FILTER, useClass: HandlerErrorFilter }],
})
class AppModule {}

let app: INestApplication;
beforeAll(async () => {
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
});
afterAll(() => app.close());

test.each(Object.keys(THROWN))('the client gets the response of the exception: %s', async how => {
  const url = await app.getUrl();
  const [waited, direct] = await Promise.all(
    ['waited', 'direct'].map(async path => {
      const response = await fetch(`${url}/${path}/${how}`);
      return [response.status, await response.json()];
    }),
  );
  expect(waited).toEqual(direct);
});
