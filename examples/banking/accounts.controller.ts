/** The HTTP API. Answers as soon as the account's queue has the order. */
import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { AccountRepository } from './account.repository.js';
import { DepositCommand, TransferCommand, WithdrawCommand } from './commands.js';
import { OrderGateway } from './gateway.js';

interface Order {
  readonly amount: number;
  readonly operationId: string;
}

@Controller('accounts/:id')
export class AccountsController {
  constructor(
    private readonly orders: OrderGateway,
    private readonly accounts: AccountRepository,
  ) {}

  @Get()
  balance(@Param('id') id: string) {
    return this.accounts.find(id);
  }

  @Post('deposit')
  @HttpCode(202)
  deposit(@Param('id') id: string, @Body() { amount, operationId }: Order) {
    return this.orders.send(new DepositCommand(id, amount, operationId));
  }

  @Post('withdraw')
  @HttpCode(202)
  withdraw(@Param('id') id: string, @Body() { amount, operationId }: Order) {
    return this.orders.send(new WithdrawCommand(id, amount, operationId));
  }

  @Post('transfer')
  @HttpCode(202)
  transfer(@Param('id') id: string, @Body() { amount, operationId, to }: Order & { to: string }) {
    return this.orders.send(new TransferCommand(id, to, amount, operationId));
  }
}
