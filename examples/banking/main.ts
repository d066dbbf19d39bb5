/** One pod of the banking application. */
import type { AddressInfo } from 'node:net';
import type { LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BankingModule } from './banking.module.js';

// Started by the demo, a pod must not outlive it, however the demo ends.
process.once('disconnect', () => process.exit());

// A transfer that is refunded is told as a warning: the demo has many.
const logger: LogLevel[] = process.env['QUIET'] === '1' ? ['error'] : ['error', 'warn'];
const app = await NestFactory.create(BankingModule, { logger });
app.enableShutdownHooks();
const server = await app.listen(Number(process.env['PORT'] ?? 3000));
process.send?.((server.address() as AddressInfo).port);
