/**
 * What a bus is given becomes a request to the engine: a command by what its class says, a named job as it is.
 * Owns: how the entity of a command is found, and which classes were enqueued under which names.
 * Neighbours: `sender.ts` sends requests; `command-class.ts` reads a class, `valid-data.ts` validates.
 */

import type { FlowOf } from '../../core/enqueue/flow.js';
import type { JobRequest } from '../../core/enqueue/requests.js';
import type { EntityId } from '../../core/model/entity.js';
import { HandlerConflictError, InvalidCommandError, InvalidOptionError } from '../../core/model/errors.js';
import type { JobOptions } from '../../core/model/job.js';
import { checkKnown } from '../../core/options/checks.js';
import { type Class, type WorkerProcessorOptions, whoShares } from '../decorators/metadata.js';
import type { Started } from '../runtime.js';
import type { EnqueueOptions, FlowNode } from './bus-options.js';
import { type CommandClass, classOf, entityIdOf, readCommandClass } from './command-class.js';
import { type Schemas, validCommand, validData } from './valid-data.js';

/** A named job whose type the scope may know. */
export interface UnscopedJob {
  readonly entityType?: string;
  readonly entityId: EntityId;
  readonly name: string;
  readonly data?: unknown;
}

/** An instance of a command class, or a job by name. */
export type Given =
  | { readonly command: object; readonly job?: never }
  | { readonly job: UnscopedJob; readonly command?: never };

/** What a bus for one entity type knows beforehand. */
export interface Scope {
  readonly entityType: string;
  readonly processor?: {
    readonly name: string;
    readonly options: WorkerProcessorOptions;
    readonly schemas: Schemas;
  };
}

export class JobRequests {
  private readonly classes = new WeakMap<Class, CommandClass>();
  private readonly names = new Map<string, Class>();

  /** @throws InvalidCommandError, InvalidEntityError, ValidationError, HandlerConflictError: nothing was sent */
  of(ready: Started, given: Given, options: EnqueueOptions | undefined, scope?: Scope): JobRequest {
    return given.command === undefined
      ? named(ready, given.job, options, scope)
      : this.ofCommand(ready, given.command, options, scope);
  }

  ofFlow(ready: Started, node: FlowNode): FlowOf<JobRequest> {
    if (typeof node !== 'object' || node === null || (node.command === undefined) === (node.job === undefined)) {
      throw new InvalidCommandError(
        'A job of a flow needs { command } or { job: { entityType, entityId, name, data } }.',
      );
    }
    checkKnown('A job of a flow:', node, ['command', 'job', 'options', 'onFailure', 'children']);
    const { options, onFailure, children = [] } = node;
    if (!Array.isArray(children)) throw new InvalidCommandError('The children of a job of a flow must be an array.');
    return {
      job: this.of(ready, node as Given, options),
      onFailure,
      children: () => children.map(child => this.ofFlow(ready, child)),
    };
  }

  private ofCommand(
    ready: Started,
    command: object,
    options: EnqueueOptions | undefined,
    scope: Scope | undefined,
  ): JobRequest {
    const known = this.commandClass(classOf(command), ready);
    const entityType = scope?.entityType ?? known.entityType;
    if (entityType === undefined) {
      throw new InvalidCommandError(
        `${known.target.name} is not decorated with @QueueEntity('…'); decorate it, or name its type: forEntity('…').enqueue(…).`,
      );
    }
    const defaultEntityId =
      scope?.processor?.options.defaultEntityId ?? ready.config.entityType(entityType).defaultEntityId;
    // What the schema makes of a command is what is enqueued: its entity, too.
    const valid = known.validator ? validCommand(ready, command, { ...known, entityType }) : command;
    return {
      entityType,
      entityId: entityIdOf(valid, known, defaultEntityId) as EntityId,
      name: known.name,
      data: valid,
      options: options as JobOptions,
    };
  }

  private commandClass(target: Class, { handlers, validators }: Started): CommandClass {
    let known = this.classes.get(target);
    if (!known) {
      known = readCommandClass(target, validators);
      // The name is all that a worker has: were it another class's, the wrong handler would run.
      const other = handlers.commandClass(known.name) ?? this.names.get(known.name);
      if (other && other !== target) {
        throw new HandlerConflictError(
          `Two command classes are named "${known.name}"; give one another name: @QueueEntity(type, { name: '…' }).`,
        );
      }
      const { entityType, isShared, name } = known;
      if (isShared && entityType !== undefined) handlers.checkShared(entityType, name, whoShares(target));
      this.names.set(name, target);
      this.classes.set(target, known);
    }
    return known;
  }
}

function named(
  ready: Started,
  job: UnscopedJob,
  options: EnqueueOptions | undefined,
  scope: Scope | undefined,
): JobRequest {
  if (typeof job !== 'object' || job === null) {
    throw new InvalidCommandError('A job by name needs { entityType, entityId, name, data }.');
  }
  const entityType = scope?.entityType ?? (job.entityType as string);
  const data = validData(ready, { ...job, entityType }, scope?.processor?.schemas);
  return { ...job, entityType, data, options: options as JobOptions };
}

/**
 * A processor that is no provider here has told no worker of its `queueName`: jobs would wait in queues that its workers don't
 * read. The names for one id tell.
 * @throws InvalidOptionError
 */
export function checkQueueName({ entityType, processor }: Scope, { config }: Started): void {
  const own = processor?.options.queueName;
  if (!own || own('1') === config.entityType(entityType).queueName?.('1')) return;
  throw new InvalidOptionError(
    `${processor.name} has a queueName that this application does not know, as the class is none of its providers; give the same function in entities.${entityType}.queueName.`,
  );
}
