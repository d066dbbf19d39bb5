/**
 * How instances of a command class become jobs. Owns: reading the class's metadata, once, and the entity id of an instance.
 * Neighbour: `job-requests.ts` calls this for every command.
 */

import type { Validator } from '../../core/handlers/validation.js';
import { InvalidCommandError, InvalidEntityError } from '../../core/model/errors.js';
import { type Class, getMetadata, jobNameOf } from '../decorators/metadata.js';
import type { Validators } from '../handlers/validators.js';

export interface CommandClass {
  readonly target: Class;
  readonly name: string;
  /** Entity type of the class; undefined if only the scope of a bus names one. */
  readonly entityType: string | undefined;
  readonly entityIdProperty: string | undefined;
  /** Whether its jobs are shared reads of its own entity type. */
  readonly isShared: boolean;
  readonly validator: Validator | undefined;
}

/**
 * The class of a command.
 * @throws InvalidCommandError when it is no instance of a class of the application.
 */
export function classOf(command: unknown): Class {
  const target = typeof command === 'object' && command !== null ? command.constructor : undefined;
  if (typeof target !== 'function' || target === Object || Array.isArray(command)) {
    throw new InvalidCommandError(
      `enqueue() needs an instance of a class with @QueueEntity, not ${describe(command)}. Nothing was enqueued. For plain data use enqueueJob().`,
    );
  }
  return target as Class;
}

/** @throws InvalidCommandError when the class has no name: a worker would not know the handler of its jobs. */
export function readCommandClass(target: Class, validators: Validators): CommandClass {
  const name = jobNameOf(target);
  if (name === '')
    throw new InvalidCommandError(
      "The class of the command has no name. Nothing was enqueued. Give it one: @QueueEntity(type, { name: '…' }).",
    );
  return {
    target,
    name,
    entityType: getMetadata(target, 'entityType'),
    entityIdProperty: getMetadata(target, 'entityIdProperty'),
    isShared: getMetadata(target, 'shared') ?? false,
    validator: validators.of(target),
  };
}

/**
 * The entity id of an instance, from the decorated property, else from the default one.
 * @throws InvalidCommandError when neither is declared, InvalidEntityError when the instance has no such property.
 */
export function entityIdOf(
  command: object,
  { target, entityIdProperty }: CommandClass,
  defaultProperty: string | undefined,
): unknown {
  const property = entityIdProperty ?? defaultProperty;
  if (property === undefined) {
    throw new InvalidCommandError(
      `${target.name} does not declare which property holds its entity id. Nothing was enqueued. Decorate one with @QueueEntityId(), or set defaultEntityId of its entity type.`,
    );
  }
  if (!(property in command)) {
    throw new InvalidEntityError(
      `An instance of ${target.name} has no property "${property}", which should hold its entity id` +
        (entityIdProperty === undefined
          ? ' (defaultEntityId of its entity type). Nothing was enqueued.'
          : '. Nothing was enqueued. Set it, or, if a minifier renamed it, decorate a plain property.'),
    );
  }
  return (command as Record<string, unknown>)[property];
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value)
    ? 'an array (see enqueueBulk())'
    : typeof value === 'object'
      ? 'a plain object'
      : `a ${typeof value}`;
}
