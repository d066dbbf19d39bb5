/**
 * The scope of a job, which is a request to Nest: request-scoped providers are created for it and get its context as `REQUEST`.
 *
 * Each attempt has a sub-tree of its own. A strategy of the application (`ContextIdFactory.apply`) sees the job's context, and may give
 * it the durable providers of its tenant.
 * Neighbours: `handler-method.ts` and `nest/handlers/cqrs-bridge.ts` open a scope only for handlers that need one.
 */
import { type ContextId, ContextIdFactory, ModuleRef } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { REQUEST_CONTEXT_ID } from '@nestjs/core/router/request/request-constants.js';

/**
 * Opens a scope for a job, as Nest's router does for a request.
 * @param isDurable whether all providers of the scope are durable. They then get the payload of the strategy as `REQUEST`.
 */
export function openScope(context: object, moduleRef: ModuleRef, isDurable: boolean): ContextId {
  const contextId = ContextIdFactory.getByRequest(context as Record<string, unknown>);
  // A later lookup by `REQUEST` returns the same context id.
  // guards: scope.openScope
  Object.defineProperty(context, REQUEST_CONTEXT_ID, { value: contextId });
  const { payload } = contextId;
  for (const [name, value] of Object.entries(payload ?? {})) {
    if (!(name in context)) Object.defineProperty(context, name, { value, enumerable: true });
  }
  moduleRef.registerRequestByContextId(isDurable && payload !== undefined ? payload : context, contextId);
  return contextId;
}

/** Creates instances of a provider that is not static, one for each job. */
export class ProviderScope {
  private readonly moduleRef: ModuleRef;
  private readonly isDurable: boolean;

  constructor(private readonly wrapper: InstanceWrapper) {
    // The reference of the provider's own module: another module may have another provider under the token.
    this.moduleRef = moduleRefOf(wrapper);
    this.isDurable = wrapper.isDependencyTreeDurable();
  }

  open(context: object): ContextId {
    return openScope(context, this.moduleRef, this.isDurable);
  }

  instance(contextId: ContextId): Promise<object> {
    // guards: scope.instance
    return this.moduleRef.resolve(this.wrapper.token as never, contextId, { strict: true });
  }
}

/** The module reference of the module that has the provider. */
export function moduleRefOf({ host }: InstanceWrapper): ModuleRef {
  return host?.getProviderByKey<ModuleRef>(ModuleRef).instance as ModuleRef;
}
