/** The context of a caller: which values travel with a job, and that its handler runs once with any hook. */

import type { ContextValues, Envelope } from '../../../../src/core/model/envelope.js';
import type { FetchedJob } from '../../../../src/core/model/job.js';
import { resolveOptions } from '../../../../src/core/options/resolve.js';
import { type ContextOptions, Propagation } from '../../../../src/core/payload/caller-context.js';
import { openTracer } from '../../../../src/nest/tracing.js';
import { RecordingLog } from '../../../support/log.js';
import { gate } from '../../../support/wait.js';

const passing: ContextOptions['run'] = (_, callback) => callback();

const of = (get: ContextOptions['get'], run: ContextOptions['run'] = passing, keys = ['tenant', 'user', 'isAdmin']) =>
  new Propagation({ keys, get, run }, undefined);

const job = (envelope: Envelope): FetchedJob => ({
  id: '1',
  name: 'note',
  data: {},
  attempt: 1,
  attemptsMade: 0,
  options: {},
  envelope,
  native: () => undefined,
});

describe('a captured context', () => {
  test('has the declared values only, without undefined and null; an empty one gives no envelope', () => {
    const context = { tenant: 'a', user: 7, isAdmin: false, password: 'secret', request: {} };
    expect(of(() => context).capture()).toEqual({ ctx: { tenant: 'a', user: 7, isAdmin: false } });
    expect(of(() => ({ tenant: undefined, user: null, isAdmin: '' })).capture()).toEqual({ ctx: { isAdmin: '' } });
    expect(of(() => ({ tenant: null, password: 'secret' })).capture()).toBeUndefined();
    expect(of(() => undefined).capture()).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    ['an object', { secret: 'secret' }, /"tenant".*it is an object/],
    ['an array', ['secret'], /it is an object/],
    ['a bigint', 5n, /it is a bigint/],
    ['a function', () => 'secret', /it is a function/],
    ['a symbol', Symbol('secret'), /it is a symbol/],
    ['NaN', Number.NaN, /it is NaN/],
    ['Infinity', Number.POSITIVE_INFINITY, /it is Infinity/],
    ['a value of more than 4096 bytes', 'secret'.repeat(1000), /6013 bytes, more than 4096.*tenant/],
  ])('cannot have %s, and the error names the key but not the value', (_, tenant, message) => {
    const capture = () => of(() => ({ tenant })).capture();
    expect(capture).toThrow(
      expect.objectContaining({ code: 'INVALID_CONTEXT', message: expect.stringMatching(message) }),
    );
    expect(capture).not.toThrow(/secret/);
  });

  test('has a getter that throws: the error does not have its text', () => {
    const context = {
      get tenant() {
        throw new Error('secret');
      },
    };
    const message = '"tenant" of the context can\'t be read: that throws (Error). Nothing was enqueued.';
    expect(() => of(() => context).capture()).toThrow(expect.objectContaining({ code: 'INVALID_CONTEXT', message }));
  });

  test('has at most 4096 bytes, of all values together', () => {
    const bytes = (length: number) => () => of(() => ({ tenant: 'x'.repeat(length), user: 1 })).capture();
    const frame = JSON.stringify({ tenant: '', user: 1 }).length;
    expect(bytes(4096 - frame)).not.toThrow();
    expect(bytes(4097 - frame)).toThrow(/4097 bytes/);
  });

  test('comes from a hook that fails: the error has the thrown value', () => {
    const cause = new Error('no store');
    const capture = () =>
      of(() => {
        throw cause;
      }).capture();
    expect(capture).toThrow(expect.objectContaining({ code: 'INVALID_CONTEXT', cause }));
  });
});

describe('a restored context', () => {
  test('has only declared values of the right kind, even if a hand-written envelope has others', () => {
    const propagation = of(() => undefined);
    const read = (ctx: unknown) => propagation.valuesOf(job({ ctx } as Envelope));
    expect(read({ tenant: 'a', user: 7, password: 'secret' })).toEqual({ tenant: 'a', user: 7 });
    expect(read({ tenant: { a: 1 }, user: null })).toEqual({});
    expect(read('text')).toEqual({});
    expect(read(null)).toEqual({});
    expect(read(undefined)).toEqual({});
    expect(read(JSON.parse('{"__proto__":{"tenant":"x"}}'))).toEqual({});
  });

  test('of several jobs has the values that all of them share', async () => {
    const seen: unknown[] = [];
    const propagation = of(
      () => undefined,
      (values, callback) => {
        seen.push(values);
        return callback();
      },
    );
    const contexts: ContextValues[] = [{ tenant: 'a', user: 1 }, { tenant: 'a', user: 2 }, { tenant: 'a' }];
    const jobs = contexts.map(ctx => job({ ctx }));
    await propagation.restore(jobs, () => 'done');
    await propagation.restore([...jobs, job({})], () => 'done');
    expect(seen).toEqual([{ tenant: 'a' }, {}]);
  });
});

describe('the handler runs once, and its end is the end of the job,', () => {
  const restore = async (run: ContextOptions['run'], handler: () => unknown = () => 'done') =>
    of(() => undefined, run).restore([job({ ctx: { tenant: 'a' } })], handler);

  test('if run does not return the result of its callback', async () => {
    const end = gate();
    let isOver = false;
    const restored = restore(
      ((_: unknown, callback: () => unknown) => {
        callback();
      }) as ContextOptions['run'],
      () => end.promise.then(() => 'late'),
    ).finally(() => {
      isOver = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    expect(isOver).toBe(false);
    end.open();
    expect(await restored).toBe('late');
  });

  test('if run waits before its callback and after it', async () => {
    const seen: string[] = [];
    const run = async (values: object, callback: () => Promise<unknown>) => {
      await null;
      seen.push(JSON.stringify(values));
      const result = await callback();
      await null;
      seen.push('committed');
      return result;
    };
    expect(await restore(run as never, () => seen.push('handled'))).toBe(2);
    expect(seen).toEqual(['{"tenant":"a"}', 'handled', 'committed']);
  });

  test("if the handler fails and then run fails: the handler's failure comes first, and a later one of run counts too", async () => {
    const failing = () => Promise.reject(new Error('handler'));
    await expect(restore(passing, failing)).rejects.toThrow('handler');
    await expect(
      restore(passing, () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    const run = async (_: object, callback: () => Promise<unknown>) => {
      await callback();
      throw new Error('not committed');
    };
    await expect(restore(run as never)).rejects.toThrow('not committed');
    await expect(restore(run as never, failing)).rejects.toThrow('handler');
    const swallowing = (_: object, callback: () => Promise<unknown>) => callback().catch(() => 'all well');
    await expect(restore(swallowing as never, failing)).rejects.toThrow('handler');
  });

  test('if run calls its callback never, twice, or late: without a call the job fails, and no second handler runs', async () => {
    let calls = 0;
    const handler = () => ++calls;
    const invalid = (message: RegExp) =>
      expect.objectContaining({ code: 'INVALID_CONTEXT', message: expect.stringMatching(message) });
    await expect(restore((() => undefined) as never, handler)).rejects.toEqual(invalid(/did not call its callback/));
    const cause = new Error('no database');
    await expect(
      restore(() => {
        throw cause;
      }, handler),
    ).rejects.toEqual(invalid(/failed: no database/));
    expect(calls).toBe(0);
    const twice: ContextOptions['run'] = (_, callback) => {
      callback();
      return callback();
    };
    await expect(restore(twice, handler)).rejects.toEqual(invalid(/second time/));
    expect(calls).toBe(1);
    let late: () => unknown = () => undefined;
    const keeping = (_: object, callback: () => unknown) => {
      late = callback;
    };
    await expect(restore(keeping as never, handler)).rejects.toEqual(invalid(/did not call/));
    expect(late).toThrow(invalid(/after it had ended/));
    expect(calls).toBe(1);
  });
});

test.each<[string, object, RegExp]>([
  ['nothing', { context: null }, /context must be \{ keys, get, run \}/],
  ['no keys', { context: { keys: [], get: () => ({}), run: passing } }, /context\.keys.*at least one/],
  ['a key that is empty', { context: { keys: [''], get: () => ({}), run: passing } }, /context\.keys/],
  ['a forbidden key', { context: { keys: ['__proto__'], get: () => ({}), run: passing } }, /context\.keys/],
  ['no get', { context: { keys: ['a'], run: passing } }, /context\.get must be a function/],
  ['no run', { context: { keys: ['a'], get: () => ({}) } }, /context\.run must be a function/],
  ['a typo', { context: { keys: ['a'], get: () => ({}), run: passing, key: 1 } }, /context\.key; known here/],
])('an option with %s is refused', (_, options, message) => {
  expect(() => resolveOptions(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
  );
});

describe('a trace that fails', () => {
  const api = (
    inject: (context: unknown, carrier: Record<string, string>) => void,
    extract = (): unknown => 'trace',
  ) => ({
    ROOT_CONTEXT: 'root',
    context: { active: () => 'active', with: (context: unknown, run: () => unknown) => [context, run()] },
    propagation: { inject, extract },
  });
  const opened = async (parts: ReturnType<typeof api>) => {
    const log = new RecordingLog();
    return { log, tracer: await openTracer(log, async () => parts) };
  };

  test('because its package is missing refuses the option', async () => {
    const load = () => Promise.reject(new Error('Cannot find package'));
    await expect(openTracer(new RecordingLog(), load)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/tracing needs @opentelemetry\/api.*Install it\./),
    });
  });

  test('on a field that is too long leaves that field out, with one warning, and keeps the others', async () => {
    const { log, tracer } = await opened(
      api((_, carrier) => Object.assign(carrier, { traceparent: 't', baggage: 'b'.repeat(8193), x: 'x'.repeat(8192) })),
    );
    for (let i = 0; i < 3; i++) expect(Object.keys(tracer.inject() ?? {})).toEqual(['traceparent', 'x']);
    expect(log.lines.filter(line => line.includes('baggage'))).toHaveLength(1);
    const { tracer: outside } = await opened(api(() => {}));
    expect(outside.inject()).toBeUndefined();
  });

  test('in a propagator is left out, and the job goes on', async () => {
    const failing = () => {
      throw new Error('broken');
    };
    const { log, tracer } = await opened(api(failing, failing));
    expect(tracer.inject()).toBeUndefined();
    expect(tracer.within({}, () => 'handled')).toEqual(['root', 'handled']);
    expect(log.lines.filter(line => line.includes('broken'))).toHaveLength(2);
  });

  test('does not exist for a job without one: its handler is not in the trace that woke its worker', async () => {
    const { tracer } = await opened(api(() => {}, ((root: unknown) => root) as never));
    expect(tracer.within({}, () => 'handled')).toEqual(['root', 'handled']);
  });
});
