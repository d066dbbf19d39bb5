/**
 * Which code runs a job. Order: `@JobHandler(name)`, the CQRS handler of the command of that name, `@JobHandler('*')`.
 *
 * Owns: the table of handlers of this pod and the error for a job that none of them knows.
 * Neighbours: `nest/explorer.ts` and `cqrs/bridge.ts` fill the table at start; `entity-worker.ts` asks it for each job.
 */
import type { EntityRef } from './entity.js';
import { HandlerConflictError, HandlerNotFoundError } from './errors.js';
import type { JobRunner } from './ports.js';
import type { Validator } from './validation.js';

interface Registered {
  readonly runner: JobRunner;
  /** Where it was declared, for the error when there are two. */
  readonly origin: string;
}

interface RegisteredCommand extends Registered {
  /** The class, by identity; what it is made of is the bridge's business. */
  readonly commandClass: unknown;
}

export class HandlerTable {
  private readonly explicit = new Map<string, Map<string, Registered>>();
  private readonly commands = new Map<string, RegisteredCommand>();
  private readonly wildcards = new Map<string, Registered>();
  private readonly types = new Set<string>();
  private readonly validators = new Map<JobRunner, Validator>();

  /** Says that this pod works entities of a type; it sweeps and claims no others. */
  host(type: string): void {
    this.types.add(type);
  }

  /** @throws HandlerConflictError when the type already has a handler for that name. */
  addJobHandler(type: string, name: string, runner: JobRunner, origin: string): void {
    this.host(type);
    if (name === '*') {
      add(this.wildcards, type, { runner, origin }, `every other job of "${type}"`);
      return;
    }
    let handlers = this.explicit.get(type);
    if (!handlers) {
      handlers = new Map();
      this.explicit.set(type, handlers);
    }
    add(handlers, name, { runner, origin }, `job "${name}" of "${type}"`);
  }

  /** @throws HandlerConflictError when another command already has that name. */
  addCommand(name: string, commandClass: unknown, runner: JobRunner, origin: string): void {
    add(this.commands, name, { runner, origin, commandClass }, `command "${name}"`);
  }

  /** What this runner is given must be what the validator wants. */
  addValidator(runner: JobRunner, validator: Validator): void {
    this.validators.set(runner, validator);
  }

  /** What the data of a runner's jobs must be. */
  validatorOf(runner: JobRunner): Validator | undefined {
    return this.validators.get(runner);
  }

  /** What the data of jobs of that name must be, as far as this pod knows. */
  validatorFor(type: string, name: string): Validator | undefined {
    const found = this.validators.size === 0 ? undefined : this.lookUp(type, name);
    return found && this.validators.get(found.runner);
  }

  /** The class of the command of that name, if this pod handles it. */
  commandClass(name: string): unknown {
    return this.commands.get(name)?.commandClass;
  }

  /** The types that this pod works. */
  hostedTypes(): readonly string[] {
    return [...this.types];
  }

  hosts(type: string): boolean {
    return this.types.has(type);
  }

  /** Whether this pod has code for jobs of that name. */
  knows(entity: EntityRef, name: string): boolean {
    return this.lookUp(entity.type, name) !== undefined;
  }

  /** @throws HandlerNotFoundError that names the job, the entity type and the three remedies. */
  find(entity: EntityRef, name: string): JobRunner {
    const found = this.lookUp(entity.type, name);
    if (found) return found.runner;
    throw new HandlerNotFoundError(
      `No handler on this pod for job "${name}" of entity type "${entity.type}". Add a @CommandHandler for the command of ` +
        `that name (its class needs @QueueEntity or @JobCommand), a @JobHandler('${name}') or a @JobHandler('*') to a @WorkerProcessor of "${entity.type}".`,
    );
  }

  private lookUp(type: string, name: string): Registered | undefined {
    return this.explicit.get(type)?.get(name) ?? this.commands.get(name) ?? this.wildcards.get(type);
  }
}

function add<T extends Registered>(handlers: Map<string, T>, key: string, handler: T, what: string): void {
  const other = handlers.get(key);
  if (other) {
    throw new HandlerConflictError(
      `Two handlers for ${what}: ${other.origin} and ${handler.origin}. Remove one, or give one another name.`,
    );
  }
  handlers.set(key, handler);
}
