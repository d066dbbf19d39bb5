/** The start of an application on any version of Nest: which hooks may enqueue, and which imports are refused. */
import { randomBytes } from 'node:crypto';
import { Global, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AtomicQueuesModule, QueueBus } from 'atomic-queues';

const options = {
  redis: { url: process.env['REDIS_URL'] },
  keyPrefix: `compat-${randomBytes(4).toString('hex')}`,
};
const note = { entityType: 'other', entityId: '1', name: 'note' };

const create = async (imports: NonNullable<ModuleMetadata['imports']>) => {
  const app = await Test.createTestingModule({ imports }).compile();
  await app.init();
  return app;
};

test('a hook of a global module, imported before the library, may await an enqueue in onModuleInit', async () => {
  const added: unknown[] = [];
  @Injectable()
  class Hooked {
    constructor(private readonly bus: QueueBus) {}
    async onModuleInit() {
      added.push(await this.bus.enqueueJob(note));
    }
  }
  @Global()
  @Module({ providers: [Hooked] })
  class Feature {}
  const app = await create([Feature, AtomicQueuesModule.forRoot(options)]);
  expect(added).toHaveLength(1);
  await app.close();
});

test.each<[string, NonNullable<ModuleMetadata['imports']>, RegExp]>([
  [
    'forRoot twice',
    [AtomicQueuesModule.forRoot(options), AtomicQueuesModule.forRoot({ ...options, keyPrefix: 'other' })],
    /imports 2 different AtomicQueuesModule/,
  ],
  ['the bare class', [AtomicQueuesModule], /Import AtomicQueuesModule\.forRoot\(/],
])('%s is refused', async (_, imports, message) => {
  await expect(create(imports)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringMatching(message),
  });
});

test('an application with lazyConnect starts and closes without Redis', async () => {
  const app = await create([AtomicQueuesModule.forRoot({ redis: { port: 1 }, lazyConnect: true })]);
  await app.close();
});
