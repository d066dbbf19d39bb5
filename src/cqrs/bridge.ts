/**
 * The bridge to `@nestjs/cqrs`, an optional peer: jobs whose name is that of a command or query class run its handler.
 *
 * The package is imported only where a handler of it is found, so it need not be installed. Neighbour: `nest/explorer.ts`
 * does the same for `@JobHandler` methods.
 */
import type { ModuleRef } from '@nestjs/core';
import type { HandlerTable } from '../core/dispatch.js';
import { InvalidCommandError } from '../core/errors.js';
import type { JobRunner } from '../core/ports.js';
import type { Provider } from '../nest/explorer.js';
import { type Class, getMetadata, jobNameOf } from '../nest/metadata.js';
import type { Validators } from '../nest/validators.js';
import { rebuild } from './rebuild.js';

/** Metadata that the decorators of cqrs leave on a handler: the class it handles. A test fails when they change. */
export const HANDLER_METADATA = { command: '__commandHandler__', query: '__queryHandler__' } as const;

type Kind = keyof typeof HANDLER_METADATA;

interface Bus {
  execute(message: object): Promise<unknown>;
}

interface CqrsModule {
  CommandBus: Class<Bus>;
  QueryBus: Class<Bus>;
}

export interface BridgeParts {
  readonly providers: readonly Provider[];
  readonly handlers: HandlerTable;
  readonly moduleRef: ModuleRef;
  /** Entity types named in the module's options. */
  readonly declaredTypes: readonly string[];
  readonly validators: Validators;
}

/** @throws HandlerConflictError when two classes travel under one name, InvalidCommandError when cqrs has no bus here. */
export async function registerCqrsHandlers({
  providers,
  handlers,
  moduleRef,
  declaredTypes,
  validators,
}: BridgeParts): Promise<void> {
  // A class that two modules provide is found twice, and still is one handler.
  const classes = [...new Set(providers.map(({ target }) => target))];
  const found = classes.flatMap(handler => routedMessages(handler).map(routed => ({ handler, ...routed })));
  if (found.length === 0) return;
  const cqrs = (await import('@nestjs/cqrs')) as unknown as CqrsModule;
  for (const { handler, message, kind } of found) {
    const bus = findBus(moduleRef, kind === 'command' ? cqrs.CommandBus : cqrs.QueryBus, handler);
    const run: JobRunner = job => bus.execute(rebuild(message, job));
    handlers.addCommand(jobNameOf(message), message, run, `${handler.name} (${message.name})`);
    const validator = validators.of(message);
    if (validator) handlers.addValidator(run, validator);
    const type = getMetadata(message, 'entityType');
    for (const hosted of type === undefined ? declaredTypes : [type]) handlers.host(hosted);
  }
}

function findBus(moduleRef: ModuleRef, token: Class<Bus>, handler: Class): Bus {
  try {
    return moduleRef.get<Bus>(token as never, { strict: false });
  } catch {
    throw new InvalidCommandError(
      `${handler.name} handles jobs through the ${token.name} of @nestjs/cqrs, which this application has none of; import CqrsModule.`,
    );
  }
}

function routedMessages(handler: Class): { kind: Kind; message: Class }[] {
  return (Object.keys(HANDLER_METADATA) as Kind[]).flatMap(kind => {
    const message: Class | undefined = Reflect.getMetadata(HANDLER_METADATA[kind], handler);
    return message && getMetadata(message, 'routed') ? [{ kind, message }] : [];
  });
}
