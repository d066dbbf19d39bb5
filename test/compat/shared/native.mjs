/** One process that imports and requires the package: both get one implementation, and it works. No compiler, no cqrs. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as imported from 'atomic-queues';

const required = createRequire(import.meta.url)('atomic-queues');
for (const [name, value] of Object.entries(imported)) assert.equal(required[name], value, `${name} exists twice`);

const { AtomicQueuesModule, JobHandler, QueueBus, WorkerProcessor } = imported;
let handled;
const done = new Promise(resolve => {
  handled = resolve;
});
class Processor {
  note(job, entityId) {
    handled(`${entityId} ${job.data.n}`);
  }
}
JobHandler('note')(Processor.prototype, 'note', Object.getOwnPropertyDescriptor(Processor.prototype, 'note'));
WorkerProcessor({ entityType: 'account' })(Processor);
class App {}
const keyPrefix = `compat-${randomBytes(4).toString('hex')}`;
Module({
  imports: [AtomicQueuesModule.forRoot({ redis: { url: process.env.REDIS_URL }, keyPrefix })],
  providers: [Processor],
})(App);

const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
// The class from the other entry point is the same injection token.
await app.get(required.QueueBus).enqueueJob({ entityType: 'account', entityId: 7, name: 'note', data: { n: 1 } });
assert.equal(await done, '7 1');
assert.equal(app.get(QueueBus), app.get(required.QueueBus));
await app.close();
