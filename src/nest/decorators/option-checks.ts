/** Checks that several decorators share. */
import { InvalidOptionError } from '../../core/model/errors.js';

export function readShared(where: string, { shared = false }: { shared?: boolean }): boolean {
  if (typeof shared === 'boolean') return shared;
  throw new InvalidOptionError(`${where}: shared must be a boolean.`);
}

export function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
