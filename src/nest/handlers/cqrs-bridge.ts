/**
 * The bridge to `@nestjs/cqrs`, an optional peer: a job with the name of a command or query class runs the handler of that class.
 *
 * The package is imported only if one of its handlers is found, so it need not be installed. Neighbour: `nest/handlers/explorer.ts` does
 * the same for `@JobHandler` methods.
 */
import type { ModuleRef } from '@nestjs/core';
import type { HandlerTable } from '../../core/handlers/handler-table.js';
import { InvalidCommandError, UnsupportedError } from '../../core/model/errors.js';
import type { JobContext, JobRunner } from '../../core/model/job.js';
import type { Log } from '../../core/ports/log.js';
import { type Class, getMetadata, jobNameOf, whoShares } from '../decorators/metadata.js';
import { bindPlain, hasMethod } from './handler-method.js';
import { lastValue } from './observable.js';
import type { Provider } from './provider.js';
import { rebuild } from './rebuild-command.js';
import { openScope } from './scope.js';
import type { Validators } from './validators.js';

/** Keys under which the decorators of cqrs store the class that a handler handles. A test fails when they change. */
export const HANDLER_METADATA = { command: '__commandHandler__', query: '__queryHandler__' } as const;

type Kind = keyof typeof HANDLER_METADATA;

interface Bus {
  execute(message: object, context?: object): Promise<unknown>;
}

/** The class of a handler's request in cqrs, from version 11 on. */
type AsyncContextClass = new () => object;

interface CqrsModule {
  AsyncContext?: AsyncContextClass;
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
  readonly log: Log;
}

/** Whether a class handles commands or queries that jobs may carry. */
export function isCqrsHandler(target: Class): boolean {
  return routedMessages(target).length > 0;
}

/** @throws HandlerConflictError when two classes have one job name, InvalidCommandError when the application has no bus of cqrs. */
export async function registerCqrsHandlers({
  providers,
  handlers,
  moduleRef,
  declaredTypes,
  validators,
  log,
}: BridgeParts): Promise<void> {
  // A class that two modules provide is found twice and is one handler. Its own instances come before stand-ins.
  const inOrder = [...providers.filter(({ madeOf }) => madeOf), ...providers.filter(({ madeOf }) => !madeOf)];
  const classes = [...new Map(inOrder.map(provider => [provider.target, provider])).values()];
  const found = classes.flatMap(provider => routedMessages(provider.target).map(routed => ({ provider, ...routed })));
  if (found.length === 0) return;
  const cqrs = (await import('@nestjs/cqrs')) as unknown as CqrsModule;
  for (const { provider, message, kind } of found) {
    const { name } = provider.target;
    if (provider.madeOf && !hasMethod(provider, 'execute')) {
      log.warn(
        `The stand-in for ${name} has no method execute, so this pod does not work jobs "${jobNameOf(message)}". Add the method to it.`,
      );
      continue;
    }
    const runner = runnerOf({ cqrs, provider, message, kind, moduleRef });
    const jobName = jobNameOf(message);
    const origin = `${name} (${message.name})`;
    handlers.addCommand(jobName, { runner, origin, validator: validators.of(message), commandClass: message });
    const type = getMetadata(message, 'entityType');
    if (type !== undefined && getMetadata(message, 'shared')) handlers.share(type, jobName, whoShares(message));
    for (const hosted of type === undefined ? declaredTypes : [type]) handlers.host(hosted, jobName);
  }
}

interface HandlerParts {
  readonly cqrs: CqrsModule;
  readonly provider: Provider;
  readonly message: Class;
  readonly kind: Kind;
  readonly moduleRef: ModuleRef;
}

function runnerOf({ cqrs, provider, message, kind, moduleRef }: HandlerParts): JobRunner {
  if (provider.madeOf) {
    // The bus does not know a stand-in: cqrs finds handlers by the class of their instance.
    const call = bindPlain(provider, 'execute');
    return (job, context) => call([rebuild(message, job)], context);
  }
  const bus = findBus(moduleRef, kind === 'command' ? cqrs.CommandBus : cqrs.QueryBus, provider.target.name);
  if (provider.isStatic) return async (job, context) => lastValue(bus.execute(rebuild(message, job)), context);
  const run = runScoped({ bus, message, AsyncContext: asyncContextOf(cqrs, provider), moduleRef });
  return async (job, context) => lastValue(run(job, context), context);
}

function findBus(moduleRef: ModuleRef, token: Class<Bus>, handler: string): Bus {
  try {
    return moduleRef.get<Bus>(token as never, { strict: false });
  } catch {
    throw new InvalidCommandError(
      `${handler} handles jobs through the ${token.name} of @nestjs/cqrs, which this application does not have. Import CqrsModule.`,
    );
  }
}

/** @throws UnsupportedError when cqrs itself cannot run the handler. */
function asyncContextOf({ AsyncContext }: CqrsModule, { target, wrapper }: Provider): AsyncContextClass {
  if (AsyncContext === undefined) {
    throw new UnsupportedError(
      `${target.name} is request-scoped or transient, which @nestjs/cqrs supports from version 11 on. Update it, or make the handler a singleton.`,
    );
  }
  if (wrapper?.isTransient && wrapper.isDependencyTreeStatic()) {
    throw new UnsupportedError(
      `${target.name} is transient: @nestjs/cqrs would run it without its injected dependencies. Make it request-scoped, or a singleton.`,
    );
  }
  return AsyncContext;
}

interface ScopedParts {
  readonly bus: Bus;
  readonly message: Class;
  readonly AsyncContext: AsyncContextClass;
  readonly moduleRef: ModuleRef;
}

/** Each job is a request of its own: cqrs creates the handler in the scope of the job's context, and injects that as `REQUEST`. */
function runScoped({ bus, message, AsyncContext, moduleRef }: ScopedParts): JobRunner {
  return (job, context) => {
    const request = Object.defineProperties(new AsyncContext(), jobProperties(context));
    Object.defineProperty(request, 'id', { value: openScope(request, moduleRef, false) });
    return bus.execute(rebuild(message, job), request);
  };
}

const JOB_CONTEXT: readonly string[] = Object.keys({
  entityType: true,
  entityId: true,
  fencingToken: true,
  signal: true,
  attempt: true,
  contextValues: true,
  job: true,
  children: true,
} satisfies Record<keyof JobContext, true>);

/** The job's context as properties of the request. They are getters, so parts that are not read are not built. */
function jobProperties(context: JobContext): PropertyDescriptorMap {
  const read = (name: keyof JobContext) => {
    const value: unknown = context[name];
    return typeof value === 'function' ? value.bind(context) : value;
  };
  return Object.fromEntries(
    JOB_CONTEXT.map(name => [name, { get: () => read(name as keyof JobContext), enumerable: true }]),
  );
}

function routedMessages(handler: Class): { kind: Kind; message: Class }[] {
  return (Object.keys(HANDLER_METADATA) as Kind[]).flatMap(kind => {
    const message: Class | undefined = Reflect.getMetadata(HANDLER_METADATA[kind], handler);
    return message && getMetadata(message, 'routed') ? [{ kind, message }] : [];
  });
}
