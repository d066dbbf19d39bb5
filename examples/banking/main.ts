/** One pod of the banking application. */
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { BankingModule } from './banking.module.js';

const app = await NestFactory.create(BankingModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
const server = await app.listen(Number(process.env['PORT'] ?? 3000));
// Started by the demo, it says where it listens.
process.send?.((server.address() as AddressInfo).port);
