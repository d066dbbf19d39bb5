/** Rebuilds a command from the payload of its job. Neighbour: `cqrs-bridge.ts` executes it. */
import { InvalidCommandError } from '../../core/model/errors.js';
import type { FetchedJob } from '../../core/model/job.js';
import type { Class } from '../decorators/metadata.js';

/** Names that would change more than the instance. */
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * A real instance of the class with the properties of the payload. The constructor does not run again.
 * @throws InvalidCommandError when the payload is no object.
 */
export function rebuild(message: Class, { data = {} }: Pick<FetchedJob, 'data'>): object {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    const kind = Array.isArray(data) ? 'an array' : data === null ? 'null' : `a ${typeof data}`;
    throw new InvalidCommandError(
      `The data of a job for ${message.name} must be an object with its properties, not ${kind}. The handler did not run.`,
    );
  }
  const instance: object = Object.create(message.prototype);
  for (const [name, value] of Object.entries(data)) {
    if (FORBIDDEN.has(name)) continue;
    Object.defineProperty(instance, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return instance;
}
