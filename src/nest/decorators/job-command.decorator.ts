/** `@JobCommand` and `@JobQuery`: CQRS messages without an entity type of their own. Neighbour: `cqrs-bridge.ts` reads their metadata. */
import { checkSchema, type SchemaOptions } from '../../core/handlers/validation.js';
import { InvalidCommandError } from '../../core/model/errors.js';
import { rememberCommandClass } from './command-classes.js';
import { type Class, getOwnMetadata, setMetadata } from './metadata.js';

/**
 * Lets named jobs run a CQRS command without an entity type of its own: `enqueueJob({ entityType, entityId, name, data })`, or
 * `forEntity(type).enqueue(command)`. Classes with `@QueueEntity` do not need it. Every type in this pod's option `entities` may run the
 * command.
 * @param name job name. @default the class name
 * @throws InvalidCommandError (at import) when the name is empty, or the class has another one.
 */
export function JobCommand(name?: string, options: SchemaOptions = {}): ClassDecorator {
  return target => route(target, name, options);
}

/** Like {@link JobCommand}, for a CQRS query. */
export function JobQuery(name?: string, options: SchemaOptions = {}): ClassDecorator {
  return target => route(target, name, options);
}

export function route(target: { readonly name: string }, name: string | undefined, { schema }: SchemaOptions): void {
  setMetadata(target, 'routed', true);
  rememberCommandClass(target as Class);
  if (schema !== undefined) {
    checkSchema(`The schema of ${target.name}`, schema);
    setMetadata(target, 'schema', schema);
  }
  if (name === undefined) return;
  if (typeof name !== 'string' || name === '') {
    throw new InvalidCommandError(`The job name of ${target.name} must be a non-empty string.`);
  }
  const other = getOwnMetadata(target, 'jobName');
  if (other !== undefined && other !== name) {
    throw new InvalidCommandError(`${target.name} has two job names, "${other}" and "${name}". Remove one.`);
  }
  setMetadata(target, 'jobName', name);
}
