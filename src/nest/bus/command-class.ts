/**
 * How instances of one class become jobs: read from its metadata once, then applied to each instance.
 * Neighbour: `queue-bus.ts` asks for every command.
 */

import type { Validator } from '../../core/handlers/validation.js';
import { InvalidCommandError, InvalidEntityError } from '../../core/model/errors.js';
import { type Class, getMetadata, jobNameOf } from '../decorators/metadata.js';
import type { Validators } from '../handlers/validators.js';

export interface CommandClass {
  readonly target: Class;
  readonly name: string;
  /** Where instances go of themselves; undefined where only a scope says so. */
  readonly entityType: string | undefined;
  readonly entityIdProperty: string | undefined;
  /** Its jobs are shared reads, of its own entity type. */
  readonly isShared: boolean;
  readonly validator: Validator | undefined;
}

/**
 * The class of a command.
 * @throws InvalidCommandError when it is not an instance of a class of one's own.
 */
export function classOf(command: unknown): Class {
  const target = typeof command === 'object' && command !== null ? command.constructor : undefined;
  if (typeof target !== 'function' || target === Object || Array.isArray(command)) {
    throw new InvalidCommandError(
      `enqueue() needs an instance of a class decorated with @QueueEntity, not ${describe(command)}. For plain data use enqueueJob().`,
    );
  }
  return target as Class;
}

/** @throws InvalidCommandError when instances could not be told from others by name. */
export function readCommandClass(target: Class, validators: Validators): CommandClass {
  const name = jobNameOf(target);
  if (name === '')
    throw new InvalidCommandError(
      "A class without a name was enqueued; give it one: @QueueEntity(type, { name: '…' }).",
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
 * The entity id that an instance holds: in the decorated property, else in the default one.
 * @throws InvalidCommandError where neither is declared, InvalidEntityError where the instance has no such property.
 */
export function entityIdOf(
  command: object,
  { target, entityIdProperty }: CommandClass,
  defaultProperty: string | undefined,
): unknown {
  const property = entityIdProperty ?? defaultProperty;
  if (property === undefined) {
    throw new InvalidCommandError(
      `${target.name} does not say which property holds its entity id; decorate one with @QueueEntityId(), or set defaultEntityId of its entity type.`,
    );
  }
  if (!(property in command)) {
    throw new InvalidEntityError(
      `An instance of ${target.name} has no property "${property}", which should hold its entity id` +
        (entityIdProperty === undefined
          ? ' (defaultEntityId of its entity type).'
          : '; set it, or, if a minifier renamed it, decorate a plain property.'),
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
