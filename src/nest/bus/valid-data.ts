/**
 * What is enqueued, checked by what its class or its handler wants. Neighbours: `queue-bus.ts` asks; `validators.ts` knows which
 * validator a class has.
 */

import {
  type StandardSchema,
  schemaValidator,
  type Validator,
  validAtEnqueue,
} from '../../core/handlers/validation.js';
import { InvalidCommandError } from '../../core/model/errors.js';
import type { Started } from '../runtime.js';
import type { CommandClass } from './command-class.js';

interface RoutedClass extends CommandClass {
  readonly entityType: string;
}

/**
 * A command as its class's validator has it.
 * @throws ValidationError, InvalidCommandError
 */
export function validCommand(ready: Started, command: object, routed: RoutedClass): object {
  const { target, validator, entityType, entityIdProperty } = routed;
  if (!validator) return command;
  const valid = validAtEnqueue(command, validation(ready, { validator, culprit: target.name, entityType }));
  if (typeof valid !== 'object' || valid === null || Array.isArray(valid)) {
    throw new InvalidCommandError(
      `The schema of ${target.name} makes no object of a command; what it gives must have the command's properties.`,
    );
  }
  if (entityIdProperty !== undefined && entityIdProperty in command && !(entityIdProperty in valid)) {
    throw new InvalidCommandError(
      `The schema of ${target.name} drops "${entityIdProperty}", which holds the entity id; add it to the schema.`,
    );
  }
  return valid;
}

/** Those of the handlers of a processor, by the names of their jobs; nothing where a handler has none. */
export type Schemas = ReadonlyMap<string, StandardSchema | undefined>;

interface Named {
  readonly entityType: string;
  readonly name: string;
  readonly data?: unknown;
}

/**
 * The data of a job by name, as its handler's validator has it: that of this pod's handler, else that of a processor which is none
 * of its providers.
 * @throws ValidationError
 */
export function validData(ready: Started, { entityType, name, data }: Named, others: Schemas | undefined): unknown {
  const validator = ready.handlers.validatorOf(entityType, name) ?? validatorIn(others, name);
  if (!validator) return data;
  return validAtEnqueue(
    data === undefined ? {} : data,
    validation(ready, { validator, culprit: `Job "${name}"`, entityType }),
  );
}

function validatorIn(schemas: Schemas | undefined, name: string): Validator | undefined {
  const schema = schemas?.get(schemas.has(name) ? name : '*');
  return schema && schemaValidator(schema);
}

function validation(
  { config }: Started,
  { validator, culprit, entityType }: { validator: Validator; culprit: string; entityType: string },
) {
  return { validator, culprit, isSecret: config.entityType(entityType).codec.isSecret ?? false };
}
