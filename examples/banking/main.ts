/** One pod of the banking application. */
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { BankingModule } from './banking.module.js';

// Started by the demo, a pod must not outlive it, however the demo ends.
process.once('disconnect', () => process.exit());

const app = await NestFactory.create(BankingModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const server = await app.listen(Number(process.env['PORT'] ?? 3000));
process.send?.((server.address() as AddressInfo).port);
