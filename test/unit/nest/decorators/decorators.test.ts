/** Decorators and their meaning: routing of a class, its id, its name; and every wrong use. */
import { HandlerTable } from '../../../../src/core/handlers/handler-table.js';
import { classOf, entityIdOf, readCommandClass } from '../../../../src/nest/bus/command-class.js';
import { parameterProperty } from '../../../../src/nest/decorators/constructor-parameter.js';
import { JobCommand, JobQuery } from '../../../../src/nest/decorators/job-command.decorator.js';
import { JobHandler } from '../../../../src/nest/decorators/job-handler.decorator.js';
import { QueueEntity, QueueEntityId } from '../../../../src/nest/decorators/queue-entity.decorator.js';
import { WorkerProcessor } from '../../../../src/nest/decorators/worker-processor.decorator.js';
import { exploreProcessors } from '../../../../src/nest/handlers/explorer.js';
import type { Provider } from '../../../../src/nest/handlers/provider.js';
import { rebuild } from '../../../../src/nest/handlers/rebuild-command.js';
import { Validators } from '../../../../src/nest/handlers/validators.js';
import { checkModuleOptions } from '../../../../src/nest/options/module-options.js';
import { entity, jobContext } from '../../../support/job-context.js';
import { RecordingLog } from '../../../support/log.js';

const validators = new Validators();

@QueueEntity('account')
class Withdraw {
  constructor(
    readonly amount: number,
    @QueueEntityId() readonly accountId: string,
  ) {}
}

@QueueEntity('account', { name: 'account.deposit' })
class Deposit {
  @QueueEntityId()
  accountId = 'none';
}

describe('a command class', () => {
  test('can have its id in a constructor parameter property', () => {
    const known = readCommandClass(Withdraw, validators);
    expect(known).toMatchObject({ name: 'Withdraw', entityType: 'account', entityIdProperty: 'accountId' });
    expect(entityIdOf(new Withdraw(5, '42'), known, undefined)).toBe('42');
  });

  test('can have a regular expression, a URL or a quote before the constructor that declares its id', () => {
    class Rename {
      static readonly FORBIDDEN = /["'`]/;
      static readonly DOCS = `https://example.org/"`;
      constructor(@QueueEntityId() readonly accountId: string) {}
    }
    expect(readCommandClass(Rename, validators).entityIdProperty).toBe('accountId');
  });

  test('can have its id in a plain property, and a declared name takes precedence over the class name', () => {
    const known = readCommandClass(Deposit, validators);
    expect(known.name).toBe('account.deposit');
    expect(entityIdOf(Object.assign(new Deposit(), { accountId: 7 }), known, undefined)).toBe(7);
  });

  test('without a decorator has its id in the default property of its entity type', () => {
    @QueueEntity('account')
    class Close {
      accountId = 9;
    }
    expect(entityIdOf(new Close(), readCommandClass(Close, validators), 'accountId')).toBe(9);
    expect(() => entityIdOf(new Close(), readCommandClass(Close, validators), undefined)).toThrow(
      /Close does not declare which property holds its entity id\. Nothing was enqueued.*@QueueEntityId.*defaultEntityId/,
    );
    expect(() => entityIdOf(new Close(), readCommandClass(Close, validators), 'id')).toThrow(
      expect.objectContaining({ code: 'INVALID_ENTITY' }),
    );
  });

  test('passes type and id to a subclass, but not the name', () => {
    class Special extends Withdraw {}
    expect(readCommandClass(Special, validators)).toMatchObject({
      name: 'Special',
      entityType: 'account',
      entityIdProperty: 'accountId',
    });
  });

  test('is refused at import if it has two ids', () => {
    expect(() => {
      class Two {
        @QueueEntityId() a = 1;
        @QueueEntityId() b = 2;
      }
      return Two;
    }).toThrow(/Two has two @QueueEntityId, "a" and "b"/);
  });

  test('is refused at import, with the remedy, if its id is a parameter that is not a property', () => {
    expect(() => {
      class Lost {
        constructor(@QueueEntityId() id: string) {
          void id;
        }
      }
      return Lost;
    }).toThrow(/Lost.*parameter 0.*plain property/);
  });

  test('is refused if it and its superclass have two ids, but not if they have the same one', () => {
    class Parent {
      @QueueEntityId() a = 1;
    }
    expect(() => {
      class Child extends Parent {
        @QueueEntityId() b = 2;
      }
      return Child;
    }).toThrow(/Child has two @QueueEntityId, "a" and "b"/);
    class Again extends Parent {
      @QueueEntityId() override a = 3;
    }
    class Sibling extends Again {}
    expect(readCommandClass(Sibling, validators).entityIdProperty).toBe('a');
  });

  test('can have its id in an accessor', () => {
    @QueueEntity('account')
    class Composed {
      constructor(
        readonly bank: string,
        readonly number: number,
      ) {}
      @QueueEntityId()
      get key() {
        return `${this.bank}-${this.number}`;
      }
    }
    expect(entityIdOf(new Composed('x', 7), readCommandClass(Composed, validators), undefined)).toBe('x-7');
  });

  const key = Symbol('id');
  class Misplaced {
    static shared = 1;
    [key] = 1;
    method(id: string) {
      return id;
    }
  }
  const decorate = QueueEntityId() as (target: object, property: string | symbol, place?: unknown) => void;
  test.each<[string, () => void]>([
    [
      'a method',
      () => decorate(Misplaced.prototype, 'method', Object.getOwnPropertyDescriptor(Misplaced.prototype, 'method')),
    ],
    ['a parameter of a method', () => decorate(Misplaced.prototype, 'method', 0)],
    ['a static property', () => decorate(Misplaced, 'shared')],
    ['a symbol', () => decorate(Misplaced.prototype, key)],
  ])('an id on %s is refused at import', (_, misplace) => {
    expect(misplace).toThrow(
      expect.objectContaining({ code: 'INVALID_COMMAND', message: expect.stringMatching(/Misplaced/) }),
    );
  });

  test('is refused at import if names are empty or contradict each other, or options are unknown', () => {
    const invalid = expect.objectContaining({ code: 'INVALID_COMMAND' });
    expect(() => QueueEntity('account', { name: '' })(class {})).toThrow(invalid);
    expect(() => JobCommand('')(class {})).toThrow(invalid);
    expect(() => {
      @QueueEntity('account', { name: 'one' })
      @JobQuery('other')
      class Twice {}
      return Twice;
    }).toThrow(/Twice has two job names, "other" and "one"/);
    expect(() => QueueEntity('account', { nmae: 'x' } as never)(class Typo {})).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(/Typo\.nmae/) }),
    );
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['a plain object', {}],
    ['an array', []],
    ['a string', 'x'],
    ['a class', Withdraw],
  ])('%s is not a command', (_, value) => {
    expect(() => classOf(value)).toThrow(expect.objectContaining({ code: 'INVALID_COMMAND' }));
  });

  test('a missing type is refused at import', () => {
    expect(() => QueueEntity('')(Withdraw)).toThrow(expect.objectContaining({ code: 'INVALID_COMMAND' }));
    expect(() => WorkerProcessor({ entityType: '' })(Withdraw)).toThrow(
      expect.objectContaining({ code: 'INVALID_COMMAND' }),
    );
  });
});

test('an invalid option of a processor is reported at import with the class that has it', () => {
  class Accounts {}
  const decorate = (options: object) => () => WorkerProcessor({ entityType: 'account', ...options })(Accounts);
  expect(decorate({ idleTimeout: 5 })).toThrow(/Unknown option @WorkerProcessor\(Accounts\)\.idleTimeout;/);
  expect(decorate({ enhancers: 'yes' })).toThrow(/@WorkerProcessor\(Accounts\)\.enhancers must be a boolean/);
  expect(decorate({ maxWorkersPerEntity: 0 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
});

describe('the property behind a constructor parameter', () => {
  const find = (text: string, index: number) =>
    parameterProperty(
      new Function('f', `return ${text}`)(() => Object),
      index,
    );

  test('is not found in a proxy of a class, a bound class, or a native one', () => {
    class A {
      constructor(readonly id: string) {}
    }
    expect(parameterProperty(A, 0)).toBe('id');
    for (const other of [new Proxy(A, {}), A.bind(null), Date] as (typeof A)[]) {
      expect(parameterProperty(other, 0)).toBe(undefined);
    }
  });

  test('is found in code with syntax that is valid only in its context: await, yield, a private name, import.meta', async () => {
    class Around {
      readonly #secret = 1;
      *inner(): Generator<unknown, new (id: string) => object> {
        const { constructor: Base } = Object.prototype;
        return class extends ((yield) ?? Base) {
          static readonly secret = (around: Around) => around.#secret;
          constructor(readonly id: string) {
            super();
          }
        };
      }
    }
    class Derived extends (await Promise.resolve(Object)) {
      static readonly url = `${import.meta.url}//`;
      constructor(readonly id: string) {
        super();
      }
    }
    const inner = new Around().inner();
    inner.next();
    for (const cls of [inner.next().value as typeof Derived, Derived]) expect(parameterProperty(cls, 0)).toBe('id');
  });

  test.each<[string, string, number, string | undefined]>([
    ['minified', 'class t{constructor(t,e){this.accountId=t,this.amount=e}}', 0, 'accountId'],
    ['minified, the second parameter', 'class t{constructor(t,e){this.accountId=t,this.amount=e}}', 1, 'amount'],
    ['fields first', 'class A{ id; constructor(id) { this.id = id; } }', 0, 'id'],
    ['renamed', 'class A{ constructor($a) { this.id = $a; } }', 0, 'id'],
    ['defaults with commas', 'class A{ constructor(a = f(1, [2, "),"]), b) { this.a = a; this.b = b; } }', 1, 'b'],
    ['comments', 'class A{ constructor(/* a, b) */ a, // c,\n b) { this.x = a; this.y = b; } }', 1, 'y'],
    [
      'a longer name with the same beginning',
      'class A{ constructor(id) { this.x = identity; this.id = id; } }',
      0,
      'id',
    ],
    ['defined', 'class A{ constructor(id) { def(this, "id", id); } }', 0, 'id'],
    [
      'defined with a descriptor',
      'class A{ constructor(id) { Object.defineProperty(this, "id", { value: id }); } }',
      0,
      'id',
    ],
    ['as a string', 'class A{ constructor(id) { this["id"] = id; } }', 0, 'id'],
    ['with a default', 'class A{ constructor(id = /[)"]/.source) { this.id = id; } }', 0, 'id'],
    ['a function for ES5', 'function A(id) { check(this, A); this.id = id; }', 0, 'id'],
    [
      'a derived function for ES5',
      'function A(id) { var _this = up.call(this) || this; _this.id = id; return _this; }',
      0,
      'id',
    ],
    ['a minified derived function for ES5', 'function A(t){var r;return r=up(this,A),r.id=t,r}', 0, 'id'],
    [
      'super() within an expression, from esbuild',
      'class A extends Object{constructor(t){var s=(...n)=>(super(...n),this.id=t,this);const e=s(1);this.last=t}}',
      0,
      'id',
    ],
    ['moved into a condition', 'class A{constructor(t,e){if(this.id=t,e<0)throw Error()}}', 0, 'id'],
    [
      'a quote in an earlier regular expression',
      `class A{ static F = /["'\`]/; constructor(id) { this.id = id; } }`,
      0,
      'id',
    ],
    [
      'both defined and copied',
      'class A{ constructor(id) { __publicField(this, "id", id); this.last = id; } }',
      0,
      'id',
    ],
    [
      'a call of any kind, then assigned',
      'class A{ constructor(id) { log(this, "x", id); this.id = id; } }',
      0,
      undefined,
    ],
    ['assigned, then a call of any kind', 'class A{ constructor(id) { this.id = id; log(this, "x", id); } }', 0, 'id'],
    [
      'assigned conditionally',
      'class A{ constructor(id) { if (id) this.id = id; else this.none = id; } }',
      0,
      undefined,
    ],
    ['assigned later', 'class A{ constructor(id) { then(() => { this.late = id; }); } }', 0, undefined],
    ['assigned to a private field', 'class A{ #id; constructor(id) { this.#id = id; } }', 0, undefined],
    ['assigned to another object', 'class A{ constructor(id) { that.id = id; } }', 0, undefined],
    ['added to', 'class A{ constructor(id) { this.sum += id; } }', 0, undefined],
    [
      'another variable of the same name',
      'class A{ constructor(id) { { let id = 1; this.x = id; } this.id = id; } }',
      0,
      'id',
    ],
    ['a rest parameter', 'class A{ constructor(...ids) { this.ids = ids; } }', 0, undefined],
    ['a method named constructor', 'class A{ ["constructor"](id) { this.id = id; } }', 0, undefined],
    ['after a superclass', 'class A extends f({ a: 1 }){constructor(t){super(t),this.id=t}}', 0, 'id'],
    [
      'an earlier call of another constructor',
      'class A{ f(a) { return new this.constructor(a); } constructor(id) { this.id = id; } }',
      0,
      'id',
    ],
    [
      'a constructor call in an earlier field',
      'class A{ f = this.constructor(1); constructor(id) { this.id = id; } }',
      0,
      'id',
    ],
    ['the word in an earlier string', 'class A{ f = "constructor(a) {"; constructor(id) { this.id = id; } }', 0, 'id'],
    ['a property of it assigned', 'class A{ constructor(id) { this.size = id.length; } }', 0, undefined],
    ['compared', 'class A{ constructor(id) { this.big = id == 5; } }', 0, undefined],
    ['a derived value, and itself', 'class A{ constructor(id) { this.other = id + "x"; this.id = id; } }', 0, 'id'],
    ['assigned in a method only', 'class A{ constructor(id) { } rename(id) { this.name = id; } }', 0, undefined],
    ['a pattern', 'class A{ constructor({ id }) { this.id = id; } }', 0, undefined],
    ['never assigned', 'class A{ constructor(id) { } }', 0, undefined],
    ['no constructor', 'class A{ }', 0, undefined],
    ['no such parameter', 'class A{ constructor(a) { this.a = a } }', 3, undefined],
  ])('is right, or undefined, for: %s', (_, text, index, expected) => {
    expect(find(text, index)).toBe(expected);
  });
});

describe('processors', () => {
  const provider = (target: new () => object): Provider => ({ target, instance: new target(), isStatic: true });

  @WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 5 })
  class Accounts {
    readonly seen: unknown[] = [];
    @JobHandler('audit')
    audit(job: unknown, entityId: string) {
      this.seen.push([job, entityId]);
    }
    @JobHandler('*')
    rest() {}
  }

  test('call handlers on their instance with job and entity id', async () => {
    const handlers = new HandlerTable();
    const accounts = provider(Accounts);
    const options = exploreProcessors([accounts], handlers, new RecordingLog());
    expect(options.get('account')).toEqual({ idleTimeoutMs: 5000 });
    expect(handlers.hostedTypes()).toEqual(['account']);
    const job = {
      id: '5',
      name: 'audit',
      data: {},
      attempt: 1,
      attemptsMade: 0,
      options: {},
      envelope: {},
      native: () => 'native',
    };
    await handlers.find(entity, 'audit').runner(job, jobContext());
    expect((accounts.instance as Accounts).seen).toEqual([['native', '1']]);
  });

  const audited = (target: new () => object, names: string[]) => {
    const handlers = new HandlerTable();
    const options = exploreProcessors([provider(target)], handlers, new RecordingLog());
    const job = {
      id: '5',
      name: 'x',
      data: {},
      attempt: 1,
      attemptsMade: 0,
      options: {},
      envelope: {},
      native: () => 'native',
    };
    return { options, answers: names.map(name => handlers.find(entity, name).runner(job, jobContext())) };
  };

  test('can have several names for one method, and a method with a symbol', async () => {
    const secret = Symbol('secret');
    @WorkerProcessor({ entityType: 'account' })
    class Several {
      @JobHandler('a')
      @JobHandler('b')
      both() {
        return 'both';
      }
      @JobHandler('c')
      [secret]() {
        return 'secret';
      }
    }
    expect(await Promise.all(audited(Several, ['a', 'b', 'c']).answers)).toEqual(['both', 'both', 'secret']);
  });

  test('pass handlers to a subclass, which may override their methods and does not change its parent', async () => {
    class Parent {
      @JobHandler('inherited')
      inherited() {
        return 'parent';
      }
      @JobHandler('overridden')
      overridden() {
        return 'parent';
      }
    }
    @WorkerProcessor({ entityType: 'account' })
    class Child extends Parent {
      override overridden() {
        return 'child';
      }
      @JobHandler('own')
      own() {
        return 'child';
      }
    }
    expect(await Promise.all(audited(Child, ['inherited', 'overridden', 'own']).answers)).toEqual([
      'parent',
      'child',
      'child',
    ]);
    WorkerProcessor({ entityType: 'account' })(Parent);
    expect(() => audited(Parent, ['own'])).toThrow(expect.objectContaining({ code: 'HANDLER_NOT_FOUND' }));
  });

  test('refuse a static handler at import, and no other class is marked', () => {
    expect(() => {
      class Static {
        @JobHandler('x') static x() {}
        y() {}
      }
      return Static;
    }).toThrow(expect.objectContaining({ code: 'INVALID_COMMAND' }));
    expect(() =>
      exploreProcessors([provider(Function as never)], new HandlerTable(), new RecordingLog()),
    ).not.toThrow();
  });

  test('refuse to start if an instance lacks a handler', () => {
    const accounts = { target: Accounts, instance: { audit: 'text' }, isStatic: true };
    expect(() => exploreProcessors([accounts], new HandlerTable(), new RecordingLog())).toThrow(
      /Accounts\.(audit|rest) has @JobHandler/,
    );
  });

  test('of one type may have equal options', () => {
    @WorkerProcessor({ entityType: 'account', workerConfig: { prefetch: 2 } })
    class One {}
    @WorkerProcessor({ entityType: 'account', workerConfig: { prefetch: 2 }, idleTimeoutSeconds: undefined })
    class Two {}
    expect(
      exploreProcessors([provider(One), provider(Two)], new HandlerTable(), new RecordingLog()).get('account'),
    ).toEqual({
      workerConfig: { prefetch: 2 },
    });
  });

  test('dispatch to the explicit handler, then the command, then the wildcard', () => {
    const handlers = new HandlerTable();
    const [explicit, command, wildcard] = [() => 1, () => 2, () => 3];
    handlers.add('account', '*', { runner: wildcard, origin: 'w' });
    handlers.addCommand('Withdraw', { runner: command, origin: 'c', commandClass: Withdraw });
    const entity = { type: 'account', id: '1' };
    expect(handlers.find(entity, 'Withdraw').runner).toBe(command);
    expect(handlers.find(entity, 'other').runner).toBe(wildcard);
    handlers.add('account', 'Withdraw', { runner: explicit, origin: 'e' });
    expect(handlers.find(entity, 'Withdraw').runner).toBe(explicit);
    expect(() => handlers.find({ type: 'order', id: '1' }, 'ship')).toThrow(
      expect.objectContaining({
        code: 'HANDLER_NOT_FOUND',
        message: expect.stringMatching(/"ship" of entity type "order".*@CommandHandler.*@JobHandler/),
      }),
    );
  });

  test('refuse two handlers of one name, in one class and in two', () => {
    expect(() => {
      class Twice {
        @JobHandler('audit') one() {}
        @JobHandler('audit') two() {}
      }
      return Twice;
    }).toThrow(expect.objectContaining({ code: 'HANDLER_CONFLICT' }));
    @WorkerProcessor({ entityType: 'account' })
    class Others {
      @JobHandler('audit') audit() {}
    }
    expect(() =>
      exploreProcessors([provider(Accounts), provider(Others)], new HandlerTable(), new RecordingLog()),
    ).toThrow(/Accounts\.audit and Others\.audit/);
  });

  test('refuse two commands of one name', () => {
    const handlers = new HandlerTable();
    handlers.addCommand('x', { runner: () => 1, origin: 'A', commandClass: Withdraw });
    expect(() => handlers.addCommand('x', { runner: () => 1, origin: 'B', commandClass: Deposit })).toThrow(
      /"x": A and B/,
    );
  });

  test('refuse handlers outside a processor, and differing options', () => {
    class Stray {
      @JobHandler('x') x() {}
    }
    expect(() => exploreProcessors([provider(Stray)], new HandlerTable(), new RecordingLog())).toThrow(
      /Stray.*@WorkerProcessor/,
    );
    @WorkerProcessor({ entityType: 'account', idleTimeoutSeconds: 6 })
    class Other {}
    expect(() =>
      exploreProcessors([provider(Accounts), provider(Other)], new HandlerTable(), new RecordingLog()),
    ).toThrow(/differ in "idleTimeoutMs"/);
  });
});

describe('a command rebuilt from its job', () => {
  test('is a real instance with the payload’s own properties, and its constructor does not run', () => {
    @JobCommand()
    class Strict {
      constructor(readonly amount: number) {
        if (!(amount > 0)) throw new Error('run again');
      }
      double() {
        return this.amount * 2;
      }
    }
    const instance = rebuild(Strict, { data: { amount: 21 } }) as Strict;
    expect(instance).toBeInstanceOf(Strict);
    expect(instance.double()).toBe(42);
  });

  test('never has a payload that changes other objects', () => {
    const data = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"x":1},"prototype":{"y":1},"accountId":"1"}');
    const instance = rebuild(Withdraw, { data }) as Withdraw & { polluted?: unknown };
    expect(Object.getPrototypeOf(instance)).toBe(Withdraw.prototype);
    expect(instance.constructor).toBe(Withdraw);
    expect(instance.polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.keys(instance)).toEqual(['accountId']);
  });
});

describe('options of the module', () => {
  const redis = { host: 'localhost' };
  const sentinels = [{ host: 'sentinel', port: 26_379 }];

  test('include sentinels and all their settings', () => {
    const natMap = { '10.0.0.5:6379': { host: 'outside', port: 7000 } };
    const secrets = {
      username: 'u',
      password: 'p',
      sentinelUsername: 'u',
      sentinelPassword: 'p',
      tls: {},
      sentinelTLS: {},
    };
    checkModuleOptions({ redis: { sentinels, name: 'primary', natMap, db: 1, ...secrets } });
  });

  test.each<[string, object, RegExp]>([
    ['no redis', {}, /redis is missing/],
    ['a typo', { redis, keyprefix: 'x' }, /AtomicQueuesModule\.keyprefix; known here: .*keyPrefix/],
    ['a typo in redis', { redis: { hots: 'x' } }, /redis\.hots; known here: url, host/],
    ['an empty list of sentinels', { redis: { sentinels: [], name: 'x' } }, /redis\.sentinels must be an array/],
    [
      'a sentinel without a port',
      { redis: { sentinels: [{ host: 'a' }], name: 'x' } },
      /at least one \{ host, port \}/,
    ],
    ['sentinels without a name', { redis: { sentinels }, keyPrefix: 'x' }, /redis\.name is missing/],
    [
      'a server in addition to sentinels',
      { redis: { sentinels, name: 'x', host: 'a' } },
      /\.host; known here: sentinels, name/,
    ],
    ['a role in addition to sentinels', { redis: { sentinels, name: 'x', role: 'slave' } }, /\.role; known here/],
    [
      'a natMap that is a function',
      { redis: { sentinels, name: 'x', natMap: () => null } },
      /natMap must be an object/,
    ],
    ['a prefix that a Cluster reads', { redis, keyPrefix: '{x}' }, /keyPrefix/],
    ['an empty prefix', { redis, keyPrefix: '' }, /keyPrefix/],
    ['a time that is a string', { redis, commandTimeoutMs: '5' }, /commandTimeoutMs must be a whole number/],
    ['a time of 0', { redis, commandTimeoutMs: 0 }, /commandTimeoutMs must be a whole number of milliseconds above 0/],
    ['a time that is not a number', { redis, commandTimeoutMs: Number.NaN }, /commandTimeoutMs/],
    [
      'a time so long that a timer fires at once',
      { redis, commandTimeoutMs: Number.POSITIVE_INFINITY },
      /at most 2147483647/,
    ],
    ['a flag that is a string', { redis, enableCronManager: 'yes' }, /enableCronManager must be a boolean/],
  ])('are refused with %s', (_, options, message) => {
    expect(() => checkModuleOptions(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  test('are refused with a Cluster, which this version does not support', () => {
    const cluster = { duplicate() {}, status: 'ready', isCluster: true, options: {} };
    expect(() => checkModuleOptions({ redis: cluster as never })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(/Redis Cluster/) }),
    );
  });
});
