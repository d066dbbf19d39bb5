/** `@JobCommand` and `@JobQuery`: CQRS messages that belong to no entity type of their own. They only write metadata, which `cqrs-bridge.ts` reads. */
import { checkSchema, type SchemaOptions } from '../../core/handlers/validation.js';
import { InvalidCommandError } from '../../core/model/errors.js';
import { rememberCommandClass } from './command-classes.js';
import { type Class, getOwnMetadata, setMetadata } from './metadata.js';

/**
 * Lets jobs added by name run a CQRS command that belongs to no entity type of its own: `enqueueJob({ entityType,
 * entityId, name, data })`, or `forEntity(type).enqueue(command)`. Classes with `@QueueEntity` don't need it.
 * A command without a type may be worked by every type that this pod's options name in `entities`.
 * @param name the job's name; the class name by default.
 * @throws InvalidCommandError (at import) when the name is empty, or the class has another.
 */
export function JobCommand(name?: string, options: SchemaOptions = {}): ClassDecorator {
  return target => route(target, name, options);
}

/** As {@link JobCommand}, for a CQRS query. */
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
    throw new InvalidCommandError(`${target.name} has two job names, "${other}" and "${name}"; leave one.`);
  }
  setMetadata(target, 'jobName', name);
}
