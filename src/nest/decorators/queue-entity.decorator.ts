/**
 * `@QueueEntity` and `@QueueEntityId`: the entity that a command belongs to. They only write metadata.
 * Neighbour: `command-class.ts` reads it for each class that is enqueued.
 */
import type { SchemaOptions } from '../../core/handlers/validation.js';
import { InvalidCommandError } from '../../core/model/errors.js';
import { checkKnown } from '../../core/options/checks.js';
import type { EntityTypeName } from '../entity-types.js';
import { parameterProperty } from './constructor-parameter.js';
import { route } from './job-command.decorator.js';
import { type Class, getMetadata, setMetadata } from './metadata.js';
import { isName, readShared } from './option-checks.js';

/** Options of {@link QueueEntity}. */
export interface QueueEntityOptions extends SchemaOptions {
  /**
   * Job name of this class. Declare one if class names are minified, or may change while jobs wait.
   * @default the class name
   */
  name?: string;
  /**
   * Whether jobs of this class only read. Up to `maxSharedReads` shared reads of one entity run alongside each other, and never
   * alongside a write. Each starts when all writes enqueued before it have ended. A `@JobHandler` of these jobs must declare the same.
   * @default false
   */
  shared?: boolean;
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
 * A class without a schema, but with decorators of class-validator, is checked by those. A subclass inherits the type, and neither the
 * name nor the schema.
 *
 * @throws InvalidCommandError (at import) when the type or the name is empty, InvalidOptionError for an unknown option or an invalid
 * schema.
 */
export function QueueEntity(entityType: EntityTypeName, options: QueueEntityOptions = {}): ClassDecorator {
  return target => {
    if (!isName(entityType)) {
      throw new InvalidCommandError(`@QueueEntity of ${target.name} needs an entity type, such as 'account'.`);
    }
    const where = `@QueueEntity of ${target.name}`;
    checkKnown(where, options, ['name', 'schema', 'shared']);
    setMetadata(target, 'entityType', entityType);
    setMetadata(target, 'shared', readShared(where, options));
    route(target, options.name, options);
  };
}

/**
 * Marks the property with the entity id: a constructor parameter property, a plain property or an accessor. One per class. A subclass
 * inherits it.
 *
 * @throws InvalidCommandError (at import) when the class or its base has another one, when it is on a method, or when the code of the
 * class shows no property that gets the constructor parameter. The form on a plain property always works.
 */
export function QueueEntityId(): PropertyDecorator & ParameterDecorator {
  return (target: object, property: string | symbol | undefined, place?: unknown) => {
    const cls = (typeof target === 'function' ? target : target.constructor) as Class;
    const name = idProperty(cls, { property, place, isStatic: typeof target === 'function' });
    const other = getMetadata(cls, 'entityIdProperty');
    if (other !== undefined && other !== name) {
      throw new InvalidCommandError(
        `${cls.name} has two @QueueEntityId, "${other}" and "${name}" (its own, or inherited). Remove one.`,
      );
    }
    setMetadata(cls, 'entityIdProperty', name);
  };
}

interface Decorated {
  readonly property: string | symbol | undefined;
  /** Third argument of a decorator: the index of a parameter, or the descriptor of a method or an accessor. */
  readonly place: unknown;
  readonly isStatic: boolean;
}

function idProperty(cls: Class, { property, place, isStatic }: Decorated): string {
  if (property === undefined) {
    const name = parameterProperty(cls, Number(place));
    if (name !== undefined) return name;
    throw new InvalidCommandError(
      `@QueueEntityId of ${cls.name} is on constructor parameter ${place}, and the code of the class shows no property that ` +
        'gets it. Make it one (readonly id: string), decorate a plain property (@QueueEntityId() readonly id: string;), or set ' +
        'defaultEntityId of the entity type.',
    );
  }
  if (typeof property === 'symbol') {
    throw new InvalidCommandError(
      `@QueueEntityId of ${cls.name} is on a symbol, which JSON cannot carry. Use a string.`,
    );
  }
  const isMethod = typeof place === 'number' || typeof (place as PropertyDescriptor | undefined)?.value === 'function';
  if (isStatic || isMethod) {
    throw new InvalidCommandError(
      `@QueueEntityId of ${cls.name} is on "${property}", a method or static member. Decorate a property of its instances.`,
    );
  }
  return property;
}
