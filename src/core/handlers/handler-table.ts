/**
 * Which code runs a job. Order: `@JobHandler(name)` or `@BatchHandler(name)`, the CQRS handler of the command of that name, `@JobHandler('*')`.
 *
 * Owns: the table of handlers of this pod and the error for a job that none of them knows.
 * Neighbours: `nest/handlers/explorer.ts` and `nest/handlers/cqrs-bridge.ts` fill the table at start; `next-step.ts` asks it for each job.
 */

import { didYouMean } from '../model/did-you-mean.js';
import type { EntityRef } from '../model/entity.js';
import { HandlerConflictError, HandlerNotFoundError, InvalidOptionError } from '../model/errors.js';
import type { JobRunner } from '../model/job.js';
import type { EngineConfig } from '../options/resolve.js';
import type { BatchHandling } from './batch-options.js';
import type { Validator } from './validation.js';

interface Origin {
  /** Where it was declared, for the error when there are two. */
  readonly origin: string;
}

interface Registered extends Origin {
  readonly runner: JobRunner;
}

interface RegisteredBatch extends Origin {
  readonly batch: BatchHandling;
}

interface RegisteredCommand extends Registered {
  /** The class, by identity; what it is made of is the bridge's business. */
  readonly commandClass: unknown;
}

export class HandlerTable {
  private readonly explicit = new Map<string, Map<string, Registered | RegisteredBatch>>();
  private readonly commands = new Map<string, RegisteredCommand>();
  private readonly wildcards = new Map<string, Registered>();
  /** The types that this pod works, and the names of the jobs that it has handlers for; `'*'` for all others. */
  private readonly types = new Map<string, Set<string>>();
  /** The names of jobs that are shared reads, by entity type. */
  private readonly shared = new Map<string, Set<string>>();
  private readonly validators = new Map<JobRunner | BatchHandling, Validator>();

  /** Says that this pod works entities of a type, and that it has a handler for jobs of that name; it sweeps and claims no others. */
  host(type: string, name?: string): void {
    const names = this.types.get(type) ?? new Set();
    if (name !== undefined) names.add(name);
    this.types.set(type, names);
  }

  /** @throws HandlerConflictError when the type already has a handler for that name. */
  addJobHandler(type: string, name: string, runner: JobRunner, origin: string): void {
    this.host(type, name);
    if (name === '*') {
      add(this.wildcards, type, { runner, origin }, `every other job of "${type}"`);
      return;
    }
    this.addExplicit(type, name, { runner, origin });
  }

  /** @throws HandlerConflictError when the type already has a handler for that name, of one job or of batches. */
  addBatchHandler(type: string, name: string, batch: BatchHandling, origin: string): void {
    this.host(type, name);
    this.addExplicit(type, name, { batch, origin });
  }

  /**
   * Jobs of that name are shared reads: they run beside each other, and beside nothing else of their entity.
   * @param origin who says so.
   * @throws HandlerConflictError where the handler that runs them says otherwise.
   */
  share(type: string, name: string, origin: string): void {
    if (this.explicit.get(type)?.get(name)?.origin !== origin) this.checkShared(type, name, origin);
    const names = this.shared.get(type) ?? new Set();
    this.shared.set(type, names.add(name));
  }

  /**
   * A class says that its jobs are shared reads. Whether they are is up to the handler that runs them.
   * @throws HandlerConflictError where that is on this pod, and says otherwise.
   */
  checkShared(type: string, name: string, origin: string): void {
    const explicit = this.explicit.get(type)?.get(name);
    const handler = explicit ?? (this.commands.has(name) ? undefined : this.wildcards.get(type));
    if (!handler || this.isShared(type, name)) return;
    const remedy =
      'batch' in handler
        ? 'a batch is none'
        : `let a @JobHandler(${JSON.stringify(name)}, { shared: true }) handle them`;
    throw new HandlerConflictError(
      `${origin} declares job "${name}" of "${type}" a shared read, but ${handler.origin}, which handles it, does not; ${remedy}.`,
    );
  }

  isShared(type: string, name: string): boolean {
    return this.shared.get(type)?.has(name) ?? false;
  }

  /** The types that have shared reads. */
  sharedTypes(): ReadonlySet<string> {
    return new Set(this.shared.keys());
  }

  private addExplicit(type: string, name: string, handler: Registered | RegisteredBatch): void {
    let handlers = this.explicit.get(type);
    if (!handlers) {
      handlers = new Map();
      this.explicit.set(type, handlers);
    }
    add(handlers, name, handler, `job "${name}" of "${type}"`);
  }

  /** @throws InvalidOptionError where a batch is larger than what a pod may fetch of an entity. */
  checkBatches(config: EngineConfig): void {
    for (const [type, handlers] of this.explicit) {
      const { mostPerBatch } = config.entityType(type);
      for (const handler of handlers.values()) {
        if (!('batch' in handler) || handler.batch.max <= mostPerBatch) continue;
        throw new InvalidOptionError(
          `@BatchHandler of ${handler.origin}: max is ${handler.batch.max}, but a pod fetches at most ${mostPerBatch} jobs of an entity of type "${type}" for it; lower it, or raise workerConfig.prefetch, or lower the handlers at once.`,
        );
      }
    }
  }

  /** @throws HandlerConflictError when another command already has that name. */
  addCommand(name: string, commandClass: unknown, runner: JobRunner, origin: string): void {
    add(this.commands, name, { runner, origin, commandClass }, `command "${name}"`);
  }

  /** What this handler is given must be what the validator wants. */
  addValidator(handler: JobRunner | BatchHandling, validator: Validator): void {
    this.validators.set(handler, validator);
  }

  /** What the data of a handler's jobs must be. */
  validatorOf(handler: JobRunner | BatchHandling): Validator | undefined {
    return this.validators.get(handler);
  }

  /** What the data of jobs of that name must be, as far as this pod knows. */
  validatorFor(type: string, name: string): Validator | undefined {
    const found = this.validators.size === 0 ? undefined : this.lookUp(type, name);
    return found && this.validators.get('batch' in found ? found.batch : found.runner);
  }

  /** The class of the command of that name, if this pod handles it. */
  commandClass(name: string): unknown {
    return this.commands.get(name)?.commandClass;
  }

  /** The types that this pod works. */
  hostedTypes(): readonly string[] {
    return [...this.types.keys()];
  }

  /** The names of the jobs of a type that this pod has handlers for; `'*'` for all others. */
  namesOf(type: string): readonly string[] {
    return [...(this.types.get(type) ?? [])];
  }

  hosts(type: string): boolean {
    return this.types.has(type);
  }

  /** Whether this pod has code for jobs of that name. */
  knows(entity: EntityRef, name: string): boolean {
    return this.lookUp(entity.type, name) !== undefined;
  }

  /** How jobs of that name are run together, where they are. */
  batchOf(entity: EntityRef, name: string): BatchHandling | undefined {
    const found = this.explicit.get(entity.type)?.get(name);
    return found && 'batch' in found ? found.batch : undefined;
  }

  /** @throws HandlerNotFoundError that names the job, the entity type and the three remedies. */
  find(entity: EntityRef, name: string): JobRunner {
    const found = this.lookUp(entity.type, name);
    if (found && 'runner' in found) return found.runner;
    throw new HandlerNotFoundError(
      `No handler on this pod for job "${name}" of entity type "${entity.type}".${didYouMean(name, this.namesOf(entity.type))} Add a @CommandHandler for the command of ` +
        `that name (its class needs @QueueEntity or @JobCommand), a @JobHandler('${name}') or a @JobHandler('*') to a @WorkerProcessor of "${entity.type}".`,
    );
  }

  private lookUp(type: string, name: string): Registered | RegisteredBatch | undefined {
    return this.explicit.get(type)?.get(name) ?? this.commands.get(name) ?? this.wildcards.get(type);
  }
}

function add<T extends Origin>(handlers: Map<string, T>, key: string, handler: T, what: string): void {
  const other = handlers.get(key);
  if (other) {
    throw new HandlerConflictError(
      `Two handlers for ${what}: ${other.origin} and ${handler.origin}. Remove one, or give one another name.`,
    );
  }
  handlers.set(key, handler);
}
