/** What an HTTP client receives when the handler of a job has thrown an HttpException: real servers, real requests. */
import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpException,
  type INestApplication,
  Injectable,
  Module,
  NotFoundException,
  Param,
  Post,
  type Provider,
  UnprocessableEntityException,
  UseFilters,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Job } from 'bullmq';
import { firstValueFrom, type Observable } from 'rxjs';
import { HandlerError } from '../../../../src/core/calls/call-errors.js';
import { describeThrown, readThrown } from '../../../../src/core/model/reply.js';
import { encryptedCodec } from '../../../../src/core/payload/encrypted-codec.js';
import { AtomicQueuesModule } from '../../../../src/nest/atomic-queues.module.js';
import { HandlerErrorFilter } from '../../../../src/nest/bus/handler-error.filter.js';
import { QueueBus } from '../../../../src/nest/bus/queue-bus.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { application, compile, redis } from '../../../support/nest-application.js';

/** The exception as another copy of Nest throws it. */
class Foreign extends Error {
  getStatus = () => 409;
  getResponse = () => ({ statusCode: 409, message: 'of another copy' });
}

class Teapot extends HttpException {
  constructor() {
    super({ kind: 'teapot', at: new Date(0), lost: undefined }, 418);
  }
}

const THROWN: Record<string, () => unknown> = {
  missing: () => new NotFoundException('no such account'),
  bare: () => new NotFoundException(),
  invalid: () => new UnprocessableEntityException({ message: ['amount must be positive'], error: 'Unprocessable' }),
  issues: () => new BadRequestException(['too short', 'no number']),
  text: () => new HttpException('gone', 410),
  coded: () => new HttpException('gone', 410, { errorCode: 'GONE' }),
  teapot: () => new Teapot(),
  nothing: () => new HttpException(undefined as never, 503),
  error: () => new HttpException(new Error('secret') as never, 502),
};

@WorkerProcessor({ entityType: 'account' })
@Injectable()
class Accounts {
  constructor(private readonly bus: QueueBus) {}

  @JobHandler('*')
  run({ data: { what } }: Job<{ what: string }>): unknown {
    if (what === 'nested') {
      return this.bus.enqueueJobAndWait(job('other', 'missing'), { timeoutMs: 5000 });
    }
    if (what === 'foreign') throw new Foreign('conflict');
    if (what === 'large') throw new NotFoundException({ message: 'x'.repeat(20_000), more: 1 });
    if (what === 'cycle') {
      const body: { message: string; own?: unknown } = { message: 'of itself' };
      body.own = body;
      throw new HttpException(body, 404);
    }
    throw THROWN[what]?.() ?? new Error('no money');
  }
}

const job = (entityId: string, what: string) => ({ entityType: 'account', entityId, name: 'any', data: { what } });

@Controller('accounts')
class AccountsController {
  constructor(private readonly bus: QueueBus) {}

  @Post('queued')
  queued(@Body() { what }: { what: string }) {
    return this.bus.enqueueJobAndWait(job('1', what), { timeoutMs: 5000 });
  }

  @Get('direct/:what')
  direct(@Param('what') what: string) {
    throw THROWN[what]?.();
  }
}

@Controller('filtered')
class FilteredController {
  constructor(private readonly bus: QueueBus) {}

  @UseFilters(HandlerErrorFilter)
  @Get(':what')
  queued(@Param('what') what: string) {
    return this.bus.enqueueJobAndWait(job('1', what), { timeoutMs: 5000 });
  }
}

const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };

async function serve(adapter: () => unknown, use: 'global' | 'provider' | 'none'): Promise<[INestApplication, string]> {
  const filters: Provider[] = use === 'provider' ? [{ provide: APP_FILTER, useClass: HandlerErrorFilter }] : [];
  @Module({
    imports: [AtomicQueuesModule.forRoot({ redis })],
    controllers: [AccountsController, FilteredController],
    providers: [Accounts, ...filters],
  })
  class App {}
  const module = await compile({ imports: [App] });
  const app = module.createNestApplication(adapter() as never);
  if (use === 'global') app.useGlobalFilters(new HandlerErrorFilter(app.get(HttpAdapterHost).httpAdapter));
  await app.listen(0, '127.0.0.1');
  return [app, await app.getUrl()];
}

async function answerOf(response: Response) {
  const text = await response.text();
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: text === '' ? '' : JSON.parse(text),
  };
}

describe.each(Object.entries(ADAPTERS))('on %s', (_, adapter) => {
  describe.each(['global', 'provider'] as const)('with a filter of the application (%s)', use => {
    let app: INestApplication;
    let url: string;
    beforeAll(async () => {
      [app, url] = await serve(adapter, use);
    });
    afterAll(() => app.close());

    const queued = async (what: string) =>
      answerOf(
        await fetch(`${url}/accounts/queued`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ what }),
        }),
      );

    // Nest sends no body for the last two, or, before Nest 12 on Fastify, another status.
    test.each(Object.keys(THROWN).filter(what => what !== 'nothing' && what !== 'error'))(
      'the client gets the same response as from an exception of the controller: %s',
      async what => {
        const direct = await answerOf(await fetch(`${url}/accounts/direct/${what}`));
        expect(direct.status).toBeGreaterThanOrEqual(400);
        expect(await queued(what)).toEqual(direct);
      },
    );

    test('an exception without a body becomes a response with its status', async () => {
      expect(await queued('nothing')).toMatchObject({
        status: 503,
        body: { statusCode: 503, message: 'Service Unavailable' },
      });
      expect(await queued('error')).toMatchObject({ status: 502, body: { statusCode: 502, message: 'Bad Gateway' } });
    });

    test('an exception of another copy of Nest is recognised by its shape', async () => {
      expect(await queued('foreign')).toMatchObject({ status: 409, body: { message: 'of another copy' } });
    });

    test('the exception of a nested handler reaches the client, too', async () => {
      expect(await queued('nested')).toMatchObject({ status: 404, body: { message: 'no such account' } });
    });

    test('a body that is too large, or not JSON, becomes a response with status and message', async () => {
      const large = await queued('large');
      expect(large).toMatchObject({ status: 404, body: { statusCode: 404, message: expect.stringMatching(/^x+…$/) } });
      expect(large.body).not.toHaveProperty('more');
      expect(await queued('cycle')).toMatchObject({ status: 404, body: { statusCode: 404, message: 'of itself' } });
    });

    test('any other failure stays a 500 without details', async () => {
      expect(await queued('none')).toMatchObject({
        status: 500,
        body: { statusCode: 500, message: 'Internal server error' },
      });
    });
  });

  test('without a filter of the application, the client gets a 500 unless the method has a filter', async () => {
    const [app, url] = await serve(adapter, 'none');
    try {
      const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"what":"missing"}' };
      expect((await fetch(`${url}/accounts/queued`, post)).status).toBe(500);
      expect(await answerOf(await fetch(`${url}/filtered/missing`))).toMatchObject({
        status: 404,
        body: { statusCode: 404, message: 'no such account' },
      });
    } finally {
      await app.close();
    }
  });
});

describe('HandlerErrorFilter outside of HTTP', () => {
  const awaited = { entity: { type: 'account', id: '1' }, name: 'any', jobId: '1' };
  const error = new HandlerError(awaited, describeThrown(new NotFoundException('no such account')));
  const hostOf = (kind: string, args: unknown[] = []) => {
    const host = new ExecutionContextHost(args);
    host.setType(kind);
    return host;
  };
  const unknown = { status: 'error', message: 'Internal server error' };

  test.each(['graphql', 'atomic-queues'])('throws the error itself in a context of the kind %s', kind => {
    expect(() => new HandlerErrorFilter().catch(error, hostOf(kind))).toThrow(error);
  });

  test('responds to a microservice and a gateway like Nest to an unknown error', async () => {
    const answer = new HandlerErrorFilter().catch(error, hostOf('rpc')) as Observable<never>;
    await expect(firstValueFrom(answer)).rejects.toEqual(unknown);
    const emitted: unknown[] = [];
    const client = { emit: (...args: unknown[]) => emitted.push(args) };
    expect(new HandlerErrorFilter().catch(error, hostOf('ws', [client, {}]))).toBeUndefined();
    expect(emitted).toEqual([['exception', unknown]]);
  });
});

describe('an HttpException in a job', () => {
  test('keeps its status and response, as JSON', () => {
    const { http } = describeThrown(new BadRequestException(['too short']));
    expect(http).toEqual({
      status: 400,
      response: { statusCode: 400, error: 'Bad Request', message: ['too short'] },
    });
    expect(readThrown(JSON.stringify(describeThrown(new NotFoundException())))).toMatchObject({
      http: { status: 404 },
    });
  });

  test('keeps only status and message if payloads are encrypted', () => {
    const { http } = describeThrown(new BadRequestException({ message: 'no', iban: 'DE02' }), true);
    expect(http).toEqual({ status: 400, response: { statusCode: 400, message: 'no' } });
  });

  test.each<[string, unknown]>([
    ['an invalid status', { getStatus: () => 200, getResponse: () => 'fine' }],
    ['a status that is not a number', { getStatus: () => '404', getResponse: () => 'fine' }],
    [
      'methods that throw',
      {
        getStatus: () => {
          throw new Error('never');
        },
      },
    ],
    ['properties with the names of the methods', { getStatus: 404, getResponse: 'x' }],
    ['the status of another error', Object.assign(new Error('x'), { status: 404, response: {} })],
  ])('keeps nothing of an error with %s', (_, thrown) => {
    expect(describeThrown(thrown).http).toBeUndefined();
  });

  test('is only a text if it was written by hand', () => {
    const text = '{"name":"Error","message":"x","http":{"status":200}}';
    expect(readThrown(text)).toEqual({ name: 'Error', message: text });
  });
});

test('an application with encrypted payloads keeps the body of an exception out of Redis', async () => {
  const codec = encryptedCodec({ keyId: 'test', encrypt: text => text, decrypt: text => text });
  const module = await application([Accounts], { codec });
  await module.init();
  try {
    const call = module.get(QueueBus).enqueueJobAndWait(job('1', 'invalid'), { timeoutMs: 5000 });
    await expect(call).rejects.toMatchObject({
      status: 422,
      response: { statusCode: 422, message: 'Unprocessable Entity Exception' },
    });
  } finally {
    await module.close();
  }
});
