/**
 * Validation of payloads at the enqueue. Neighbours: `job-requests.ts` calls it; `validators.ts` knows the validator of a class.
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
 * The command that the validator of its class returns.
 * @throws ValidationError, InvalidCommandError
 */
export function validCommand(ready: Started, command: object, routed: RoutedClass): object {
  const { target, validator, entityType, entityIdProperty } = routed;
  if (!validator) return command;
  const valid = validAtEnqueue(command, validation(ready, { validator, culprit: target.name, entityType }));
  if (typeof valid !== 'object' || valid === null || Array.isArray(valid)) {
    throw new InvalidCommandError(
      `The schema of ${target.name} does not return an object. Nothing was enqueued. It must return an object with the command's properties.`,
    );
  }
  if (entityIdProperty !== undefined && entityIdProperty in command && !(entityIdProperty in valid)) {
    throw new InvalidCommandError(
      `The schema of ${target.name} drops "${entityIdProperty}", which holds the entity id. Nothing was enqueued. Add it to the schema.`,
    );
  }
  return valid;
}

/** Schemas of a processor's handlers, by job name; undefined for a handler without one. */
export type Schemas = ReadonlyMap<string, StandardSchema | undefined>;

interface Named {
  readonly entityType: string;
  readonly name: string;
  readonly data?: unknown;
}

/**
 * The data of a named job that the validator of its handler returns: of this pod's handler, else of a processor that is no provider
 * of this pod.
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
