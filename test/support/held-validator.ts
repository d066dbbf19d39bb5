/** A validator that holds the first payload it checks before a run, until the test lets it go. */
import type { Validator } from '../../src/core/handlers/validation.js';
import { type Gate, gate } from './wait.js';

export function heldValidator(): { readonly held: Gate; readonly validator: Validator } {
  const held = gate();
  let isFirst = true;
  const beforeRun = async (value: unknown) => {
    if (isFirst) {
      isFirst = false;
      await held.promise;
    }
    return { value };
  };
  return { held, validator: { atEnqueue: value => ({ value }), beforeRun } };
}
