/**
 * Which code runs a job: first `@JobHandler(name)` or `@BatchHandler(name)`, then the CQRS handler of the command of that name, then
 * `@JobHandler('*')`.
 *
 * Owns: the table of handlers of this pod, and the error for a job without a handler.
 * Neighbours: `nest/handlers/explorer.ts` and `nest/handlers/cqrs-bridge.ts` fill the table at start; `next-step.ts` asks it for each job.
 */

import { didYouMean } from '../model/did-you-mean.js';
import type { EntityRef } from '../model/entity.js';
import { HandlerConflictError, InvalidOptionError } from '../model/errors.js';
import type { JobRunner } from '../model/job.js';
import { HandlerNotFoundError } from '../model/job-errors.js';
import type { EngineConfig } from '../options/config.js';
import type { BatchHandling } from './batch-options.js';
import type { Validator } from './validation.js';

/** The handler of the jobs of one name, which runs them one by one or in batches. */
interface Registered {
  /** The place of its declaration, for the error if there are two. */
  readonly origin: string;
  /** Validates the data of its jobs. */
  readonly validator?: Validator | undefined;
}

export interface JobHandling extends Registered {
  readonly runner: JobRunner;
}

export interface BatchesHandling extends Registered {
  readonly batch: BatchHandling;
}

interface CommandHandling extends JobHandling {
  /** The class of the command, which only the CQRS bridge looks into. */
  readonly commandClass: unknown;
}

type Handling = JobHandling | BatchesHandling;

/** The handlers of one entity type on this pod. */
class TypeHandlers {
  /** The names of the jobs that it has handlers for, those of commands included; `'*'` for all others. Undefined if this pod does not work the type. */
  hosted: Set<string> | undefined;
  readonly byName = new Map<string, Handling>();
  readonly shared = new Set<string>();
}

export class HandlerTable {
  private readonly types = new Map<string, TypeHandlers>();
  private readonly commands = new Map<string, CommandHandling>();

  /** Says that this pod works entities of a type, and that it has a handler for jobs of that name; it sweeps and claims no others. */
  host(type: string, name?: string): void {
    const known = this.of(type);
    known.hosted ??= new Set();
    if (name !== undefined) known.hosted.add(name);
  }

  /**
   * @param name '*' for every job that has no other handler: no batches.
   * @throws HandlerConflictError when the type already has a handler for that name
   */
  add(type: string, name: string, handling: Handling): void {
    this.host(type, name);
    const what = name === '*' ? `every other job of "${type}"` : `job "${name}" of "${type}"`;
    addOnce(this.of(type).byName, name, handling, what);
  }

  /** @throws HandlerConflictError when another command already has that name. */
  addCommand(name: string, handling: CommandHandling): void {
    addOnce(this.commands, name, handling, `command "${name}"`);
  }

  /**
   * Jobs of that name are shared reads: they run alongside each other, and alongside nothing else of their entity.
   * @param origin the handler or class that says so.
   * @throws HandlerConflictError if the handler that runs them says otherwise.
   */
  share(type: string, name: string, origin: string): void {
    if (this.explicit(type, name)?.origin !== origin) this.checkShared(type, name, origin);
    this.of(type).shared.add(name);
  }

  /**
   * A class says that its jobs are shared reads. Whether they are is up to the handler that runs them.
   * @throws HandlerConflictError if that is on this pod, and says otherwise.
   */
  checkShared(type: string, name: string, origin: string): void {
    const handler = this.explicit(type, name) ?? (this.commands.has(name) ? undefined : this.explicit(type, '*'));
    // guards: handler-table.checkShared
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
    return this.types.get(type)?.shared.has(name) ?? false;
  }

  /** The types that have shared reads. */
  sharedTypes(): ReadonlySet<string> {
    return new Set([...this.types].filter(([, { shared }]) => shared.size > 0).map(([type]) => type));
  }

  /** @throws InvalidOptionError if a batch is larger than what a pod may fetch of an entity. */
  checkBatches(config: EngineConfig): void {
    for (const [type, { byName }] of this.types) {
      const { mostPerBatch } = config.entityType(type);
      for (const handler of byName.values()) {
        if (!('batch' in handler) || handler.batch.max <= mostPerBatch) continue;
        throw new InvalidOptionError(
          `@BatchHandler of ${handler.origin}: max is ${handler.batch.max}, but a pod fetches at most ${mostPerBatch} jobs of an entity of type "${type}" for it; lower it, or raise workerConfig.prefetch, or lower the handlers at once.`,
        );
      }
    }
  }

  /** The validator of jobs of that name, if this pod knows one. */
  validatorOf(type: string, name: string): Validator | undefined {
    return this.lookUp(type, name)?.validator;
  }

  /** The class of the command of that name, if this pod handles it. */
  commandClass(name: string): unknown {
    return this.commands.get(name)?.commandClass;
  }

  /** The types that this pod works. */
  hostedTypes(): readonly string[] {
    return [...this.types.keys()].filter(type => this.hosts(type));
  }

  /** The names of the jobs of a type that this pod has handlers for; `'*'` for all others. */
  namesOf(type: string): readonly string[] {
    return [...(this.types.get(type)?.hosted ?? [])];
  }

  hosts(type: string): boolean {
    return this.types.get(type)?.hosted !== undefined;
  }

  /** Whether this pod has code for jobs of that name. */
  knows(entity: EntityRef, name: string): boolean {
    return this.lookUp(entity.type, name) !== undefined;
  }

  /** How jobs of that name are run in batches, if they are. */
  batchOf({ type }: EntityRef, name: string): BatchHandling | undefined {
    const found = this.explicit(type, name);
    return found && 'batch' in found ? found.batch : undefined;
  }

  /** @throws HandlerNotFoundError that names the job, the entity type and the three remedies. */
  find({ type }: EntityRef, name: string): JobHandling {
    const found = this.lookUp(type, name);
    if (found && 'runner' in found) return found;
    throw new HandlerNotFoundError(
      `No handler on this pod for job "${name}" of entity type "${type}".${didYouMean(name, this.namesOf(type))} Add a @CommandHandler for the command of ` +
        `that name (its class needs @QueueEntity or @JobCommand), a @JobHandler('${name}') or a @JobHandler('*') to a @WorkerProcessor of "${type}".`,
    );
  }

  private of(type: string): TypeHandlers {
    let known = this.types.get(type);
    if (!known) {
      known = new TypeHandlers();
      this.types.set(type, known);
    }
    return known;
  }

  private explicit(type: string, name: string): Handling | undefined {
    return this.types.get(type)?.byName.get(name);
  }

  private lookUp(type: string, name: string): Handling | undefined {
    const byName = this.types.get(type)?.byName;
    return byName?.get(name) ?? this.commands.get(name) ?? byName?.get('*');
  }
}

function addOnce<T extends Registered>(handlers: Map<string, T>, key: string, handler: T, what: string): void {
  const other = handlers.get(key);
  if (other) {
    throw new HandlerConflictError(
      `Two handlers for ${what}: ${other.origin} and ${handler.origin}. Remove one, or give one another name.`,
    );
  }
  handlers.set(key, handler);
}
