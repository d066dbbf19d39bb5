/**
 * The decorators of the public API. They only write metadata; what it means is decided where it is read.
 */
import { HandlerConflictError, InvalidCommandError } from '../core/errors.js';
import { parameterProperty } from './constructor-parameter.js';
import { type Class, getOwnMetadata, setMetadata, type WorkerProcessorOptions } from './metadata.js';

/** Options of {@link QueueEntity}. */
export interface QueueEntityOptions {
  /**
   * The name under which jobs of this class travel. Default: the class name. Declare one where class names are
   * minified, or may change while jobs are waiting.
   */
  name?: string;
}

/**
 * Routes a command or query class to the queues of an entity type.
 *
 * @example
 * ```ts
 * @QueueEntity('account', { name: 'account.withdraw' })
 * export class WithdrawCommand {
 *   constructor(@QueueEntityId() readonly accountId: string, readonly amount: number) {}
 * }
 * ```
 * @throws InvalidCommandError (at import) when the type is not a non-empty string.
 */
export function QueueEntity(entityType: string, options: QueueEntityOptions = {}): ClassDecorator {
  return target => {
    if (typeof entityType !== 'string' || entityType === '') {
      throw new InvalidCommandError(`@QueueEntity of ${target.name} needs an entity type, such as 'account'.`);
    }
    setMetadata(target, 'entityType', entityType);
    route(target, options.name);
  };
}

/**
 * Marks what holds the entity id: a constructor parameter property, or a plain property. One per class.
 *
 * @throws InvalidCommandError (at import) when the class has two, or when the property behind a constructor parameter
 * can't be found; the form on a plain property always works.
 */
export function QueueEntityId(): PropertyDecorator & ParameterDecorator {
  return (target: object, property: string | symbol | undefined, index?: unknown) => {
    const cls = (typeof target === 'function' ? target : target.constructor) as Class;
    if (typeof property === 'symbol') {
      throw new InvalidCommandError(
        `@QueueEntityId of ${cls.name} is on a symbol, which no JSON carries; use a string.`,
      );
    }
    const name = property ?? parameterProperty(cls, Number(index));
    if (name === undefined) {
      throw new InvalidCommandError(
        `@QueueEntityId of ${cls.name} is on constructor parameter ${index}, which does not become a property. ` +
          'Make it one (readonly id: string), or decorate a plain property: @QueueEntityId() readonly id: string;',
      );
    }
    const other = getOwnMetadata(cls, 'entityIdProperty');
    if (other !== undefined && other !== name) {
      throw new InvalidCommandError(`${cls.name} has two @QueueEntityId, "${other}" and "${name}"; leave one.`);
    }
    setMetadata(cls, 'entityIdProperty', name);
  };
}

/**
 * Makes a provider handle jobs of an entity type, beside or instead of CQRS handlers. Its options win over those of
 * the type in `entities`.
 *
 * @example
 * ```ts
 * @WorkerProcessor({ entityType: 'account' })
 * @Injectable()
 * export class AccountProcessor {
 *   @JobHandler('audit')
 *   async audit(job: Job, entityId: string) {}
 * }
 * ```
 */
export function WorkerProcessor(options: WorkerProcessorOptions): ClassDecorator {
  return target => {
    if (typeof options?.entityType !== 'string' || options.entityType === '') {
      throw new InvalidCommandError(`@WorkerProcessor of ${target.name} needs an entityType, such as 'account'.`);
    }
    setMetadata(target, 'processor', options);
  };
}

/**
 * Handles jobs of one name, or with `'*'` every job of the type that nothing else handles, on a `@WorkerProcessor`.
 * The method gets BullMQ's job, the entity id and a {@link JobContext}; what it returns is the job's result.
 *
 * @throws HandlerConflictError (at import) when another method of the class handles the name.
 */
export function JobHandler(jobName: string): MethodDecorator {
  return (target, method) => {
    if (typeof jobName !== 'string' || jobName === '') {
      throw new InvalidCommandError(
        `@JobHandler of ${target.constructor.name}.${String(method)} needs a job name, or '*'.`,
      );
    }
    const handlers = new Map(getOwnMetadata(target.constructor, 'jobHandlers'));
    for (const [other, name] of handlers) {
      if (name === jobName) {
        throw new HandlerConflictError(
          `${target.constructor.name} handles job "${jobName}" twice, in ${other} and ${String(method)}; leave one.`,
        );
      }
    }
    setMetadata(target.constructor, 'jobHandlers', handlers.set(String(method), jobName));
  };
}

/**
 * Lets jobs added by name run a CQRS command that belongs to no entity type of its own: `enqueueJob({ entityType,
 * entityId, name, data })`, or `forEntity(type).enqueue(command)`. Classes with `@QueueEntity` don't need it.
 * @param name the job's name; the class name by default.
 */
export function JobCommand(name?: string): ClassDecorator {
  return target => route(target, name);
}

/** As {@link JobCommand}, for a CQRS query. */
export function JobQuery(name?: string): ClassDecorator {
  return target => route(target, name);
}

function route(target: object, name: string | undefined): void {
  setMetadata(target, 'routed', true);
  if (name !== undefined) setMetadata(target, 'jobName', name);
}
