/** The HTTP API. Answers 202 as soon as the account's queue has the order. */
import { BadRequestException, Body, Controller, Get, HttpCode, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { AccountRepository } from './account.repository.js';
import { DepositCommand, WithdrawCommand } from './commands.js';
import { OrderGateway } from './gateway.js';

/** An amount that is no positive number of cents would turn a deposit into a withdrawal without a check. */
const amountPipe = {
  transform(amount: unknown): number {
    if (Number.isSafeInteger(amount) && Number(amount) > 0) return Number(amount);
    throw new BadRequestException('amount must be a whole number above 0');
  },
};

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
  deposit(
    @Param('id') id: string,
    @Body('amount', amountPipe) amount: number,
    @Body('operationId', ParseUUIDPipe) operationId: string,
  ) {
    return this.orders.send(new DepositCommand(id, amount, operationId));
  }

  @Post('withdraw')
  @HttpCode(202)
  withdraw(
    @Param('id') id: string,
    @Body('amount', amountPipe) amount: number,
    @Body('operationId', ParseUUIDPipe) operationId: string,
  ) {
    return this.orders.send(new WithdrawCommand(id, amount, operationId));
  }

  @Post('transfer')
  @HttpCode(202)
  transfer(
    @Param('id') accountId: string,
    @Body('to') to: unknown,
    @Body('amount', amountPipe) amount: number,
    @Body('operationId', ParseUUIDPipe) operationId: string,
  ) {
    if (typeof to !== 'string' || to === '') throw new BadRequestException('to must name an account');
    return this.orders.transfer({ accountId, toAccountId: to, amount, operationId });
  }
}
