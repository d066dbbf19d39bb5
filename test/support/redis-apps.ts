/** Nest applications on real Redis under one key prefix: tests start them, and hooks close them and drop their keys. */
import { type INestApplicationContext, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesModule, type AtomicQueuesModuleOptions, EntityQueues, QueueBus } from '../../src/index.js';
import { connect, dropKeys, freshPrefix, keysUnder, redisUrl } from './redis.js';

type Parts = Pick<ModuleMetadata, 'imports' | 'providers'>;
type Options = Partial<AtomicQueuesModuleOptions>;

/** One application, with short names for what tests call most. */
export class RedisApp {
  readonly bus: QueueBus;

  constructor(private readonly context: INestApplicationContext) {
    this.bus = context.get(QueueBus);
  }

  get<T>(provider: Type<T>): T {
    return this.context.get(provider);
  }

  /** The entity as an operator sees it. */
  queue(entityType: string, entityId: string | number) {
    return this.context.get(EntityQueues).of(entityType, entityId);
  }

  /** Waits until the entity has no jobs left. */
  drained(entityType: string, entityId: string, timeoutMs = 5000): Promise<void> {
    return this.queue(entityType, entityId).drain({ timeoutMs });
  }

  close(): Promise<void> {
    return this.context.close();
  }
}

export class RedisApps {
  readonly prefix = freshPrefix();
  readonly redis = connect();
  /** What the applications of the running test have logged. */
  readonly logs: string[] = [];
  private readonly apps: RedisApp[] = [];

  /** @param parts what each application consists of, in addition to the module under test */
  constructor(
    private readonly parts: Parts,
    private readonly options: Options = {},
  ) {}

  /** Starts an application; its options and parts override those of all. */
  async start(options: Options = {}, parts: Parts = {}): Promise<RedisApp> {
    const { imports = [], providers } = { ...this.parts, ...parts };
    const connection = { redis: { url: redisUrl() }, keyPrefix: this.prefix };
    const queues = AtomicQueuesModule.forRoot({ ...connection, ...this.options, ...options });
    @Module({ imports: [...imports, queues], providers })
    class App {}
    const note = (message: unknown) => void this.logs.push(String(message));
    // NestJS 10 asks for setLogLevels if a later test overrides the logger.
    const logger = { log: note, warn: note, error: note, debug() {}, verbose() {}, setLogLevels() {} };
    const app = new RedisApp(await NestFactory.createApplicationContext(App, { logger, abortOnError: false }));
    this.apps.push(app);
    return app;
  }

  /** Keys of queues: all that is left of a test, but fences, streams that expire, and what is for the system. */
  async queueKeys(): Promise<string[]> {
    return (await keysUnder(this.redis, this.prefix)).filter(key => !/:(\$:|events)/.test(key));
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.apps.splice(0).map(app => app.close()));
  }

  /** For `afterEach`: nothing of a test is left for the next one. */
  async clear(): Promise<void> {
    await this.closeAll();
    await dropKeys(this.redis, this.prefix);
    this.logs.length = 0;
  }

  /** For the `afterAll` of a `describe`: at the top of a file it comes after the search for leaks. */
  async quit(): Promise<void> {
    await this.redis.quit();
  }
}
