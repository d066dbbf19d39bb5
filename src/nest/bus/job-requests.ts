/**
 * Turns the commands and named jobs of a bus into requests to the engine.
 * Owns: the entity type and id of a command, and which class was enqueued under which name.
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

/** A named job. The scope of a bus may supply its entity type. */
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

/** The entity type of a scoped bus, and its processor. */
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
        'A job of a flow needs { command } or { job: { entityType, entityId, name, data } }. Nothing was enqueued.',
      );
    }
    checkKnown('A job of a flow:', node, ['command', 'job', 'options', 'onFailure', 'children']);
    const { options, onFailure, children = [] } = node;
    if (!Array.isArray(children))
      throw new InvalidCommandError('The children of a job of a flow must be an array. Nothing was enqueued.');
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
        `${known.target.name} has no @QueueEntity('…'). Nothing was enqueued. Decorate it, or name its type: forEntity('…').enqueue(…).`,
      );
    }
    const defaultEntityId =
      scope?.processor?.options.defaultEntityId ?? ready.config.entityType(entityType).defaultEntityId;
    // The output of the schema is enqueued, so it also decides the entity.
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
      // A worker knows a class only by its name: with two classes of one name, the wrong handler could run.
      const other = handlers.commandClass(known.name) ?? this.names.get(known.name);
      if (other && other !== target) {
        throw new HandlerConflictError(
          `Two command classes are named "${known.name}", so a job could run the wrong handler. Nothing was enqueued. Give one of them another name: @QueueEntity(type, { name: '…' }).`,
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
    throw new InvalidCommandError('A named job needs { entityType, entityId, name, data }. Nothing was enqueued.');
  }
  const entityType = scope?.entityType ?? (job.entityType as string);
  const data = validData(ready, { ...job, entityType }, scope?.processor?.schemas);
  return { ...job, entityType, data, options: options as JobOptions };
}

/**
 * Refuses a bus of a processor whose `queueName` no worker knows, since the class is no provider here: its jobs would wait in queues
 * that no worker reads. Compares the names for one id.
 * @throws InvalidOptionError
 */
export function checkQueueName({ entityType, processor }: Scope, { config }: Started): void {
  const own = processor?.options.queueName;
  if (!own || own('1') === config.entityType(entityType).queueName?.('1')) return;
  throw new InvalidOptionError(
    `${processor.name} has a queueName that this application does not know, since the class is not among its providers. Nothing was enqueued. Set entities.${entityType}.queueName to the same function.`,
  );
}
