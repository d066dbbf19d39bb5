/** The base classes with which cqrs types the results of commands and queries, from version 11 on; plain classes before. */
import * as cqrs from '@nestjs/cqrs';

const given: Partial<Pick<typeof cqrs, 'Command' | 'Query'>> = cqrs;

export const Command = given.Command ?? (class {} as typeof cqrs.Command);
export const Query = given.Query ?? (class {} as typeof cqrs.Query);
