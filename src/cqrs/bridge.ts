/**
 * The bridge to `@nestjs/cqrs`, an optional peer: jobs whose name is that of a command or query class run its handler.
 *
 * The package is imported only where a handler of it is found, so it need not be installed. Neighbour: `nest/explorer.ts`
 * does the same for `@JobHandler` methods.
 */
import type { ModuleRef } from '@nestjs/core';
import type { HandlerTable } from '../core/dispatch.js';
import type { FetchedJob } from '../core/ports.js';
import type { Provider } from '../nest/explorer.js';
import { type Class, getMetadata, jobNameOf } from '../nest/metadata.js';

/** Metadata that the decorators of cqrs leave on a handler: the class it handles. A test fails when they change. */
export const HANDLER_METADATA = { command: '__commandHandler__', query: '__queryHandler__' } as const;

type Kind = keyof typeof HANDLER_METADATA;

interface Bus {
  execute(message: object): Promise<unknown>;
}

interface CqrsModule {
  CommandBus: Class<Bus>;
  QueryBus: Class<Bus>;
  CommandHandlerNotFoundException: Class<Error>;
  QueryHandlerNotFoundException: Class<Error>;
}

export interface BridgeParts {
  readonly providers: readonly Provider[];
  readonly handlers: HandlerTable;
  readonly moduleRef: ModuleRef;
  /** Entity types named in the module's options. */
  readonly declaredTypes: readonly string[];
}

/** cqrs fills its buses in a hook that may come after the first job; how long that is waited for. */
const BUS_READY_TIMEOUT_MS = 10_000;
const BUS_READY_POLL_MS = 20;

/** @throws HandlerConflictError when two classes travel under one name. */
export async function registerCqrsHandlers({
  providers,
  handlers,
  moduleRef,
  declaredTypes,
}: BridgeParts): Promise<void> {
  const found = providers.flatMap(({ target }) =>
    routedMessages(target).map(message => ({ handler: target, ...message })),
  );
  if (found.length === 0) return;
  const cqrs = (await import('@nestjs/cqrs')) as unknown as CqrsModule;
  for (const { handler, message, kind } of found) {
    const bus = moduleRef.get<Bus>((kind === 'command' ? cqrs.CommandBus : cqrs.QueryBus) as never, { strict: false });
    const notFound = kind === 'command' ? cqrs.CommandHandlerNotFoundException : cqrs.QueryHandlerNotFoundException;
    const name = jobNameOf(message);
    handlers.addCommand(
      name,
      message,
      job => execute(bus, notFound, rebuild(message, job)),
      `${handler.name} (${message.name})`,
    );
    const type = getMetadata(message, 'entityType');
    for (const hosted of type === undefined ? declaredTypes : [type]) handlers.host(hosted);
  }
}

function routedMessages(handler: Class): { kind: Kind; message: Class }[] {
  return (Object.keys(HANDLER_METADATA) as Kind[]).flatMap(kind => {
    const message: Class | undefined = Reflect.getMetadata(HANDLER_METADATA[kind], handler);
    return message && getMetadata(message, 'routed') ? [{ kind, message }] : [];
  });
}

/** Names that would reach beyond the instance. */
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

/** A real instance of the class with the properties of the payload; the constructor is not run again. */
export function rebuild(message: Class, job: Pick<FetchedJob, 'data'>): object {
  const instance: object = Object.create(message.prototype);
  for (const [name, value] of Object.entries(job.data ?? {})) {
    if (FORBIDDEN.has(name)) continue;
    Object.defineProperty(instance, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return instance;
}

async function execute(bus: Bus, notFound: Class<Error>, message: object): Promise<unknown> {
  const deadline = performance.now() + BUS_READY_TIMEOUT_MS;
  for (;;) {
    let result: Promise<unknown>;
    try {
      result = bus.execute(message);
    } catch (error) {
      // Its handler is a provider of this application: cqrs just has not registered it yet.
      if (!(error instanceof notFound) || performance.now() > deadline) throw error;
      await new Promise(resolve => setTimeout(resolve, BUS_READY_POLL_MS));
      continue;
    }
    return result;
  }
}
