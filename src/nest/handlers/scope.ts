/**
 * A job as what a request is to Nest: request-scoped providers are made for it, and get its context as `REQUEST`.
 *
 * Each try of a job has a sub-tree of its own. A strategy of the application (`ContextIdFactory.apply`) sees the job's context, and
 * may give it the durable providers of its tenant.
 * Neighbours: `handler-method.ts` and `nest/handlers/cqrs-bridge.ts` open a scope for handlers that need one; no other job pays for it.
 */
import { type ContextId, ContextIdFactory, ModuleRef } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { REQUEST_CONTEXT_ID } from '@nestjs/core/router/request/request-constants.js';

/**
 * Does for a job what Nest's router does for a request.
 * @param isDurable whether all that is made for it is durable, and so gets what the strategy calls the payload.
 */
export function openScope(context: object, moduleRef: ModuleRef, isDurable: boolean): ContextId {
  const contextId = ContextIdFactory.getByRequest(context as Record<string, unknown>);
  // Whoever asks for the context id of `REQUEST` gets this one again.
  // guards: scope.openScope
  Object.defineProperty(context, REQUEST_CONTEXT_ID, { value: contextId });
  const { payload } = contextId;
  for (const [name, value] of Object.entries(payload ?? {})) {
    if (!(name in context)) Object.defineProperty(context, name, { value, enumerable: true });
  }
  moduleRef.registerRequestByContextId(isDurable && payload !== undefined ? payload : context, contextId);
  return contextId;
}

/** Where a provider that is not static is made for a job. */
export class ProviderScope {
  private readonly moduleRef: ModuleRef;
  private readonly isDurable: boolean;

  constructor(private readonly wrapper: InstanceWrapper) {
    // Its own module's: another module may have something else under the same token.
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

/** That of the module which has the provider. */
export function moduleRefOf({ host }: InstanceWrapper): ModuleRef {
  return host?.getProviderByKey<ModuleRef>(ModuleRef).instance as ModuleRef;
}
