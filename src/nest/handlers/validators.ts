/**
 * The validator of a class: its schema, else its decorators of class-validator. That package is an optional peer, and is imported only if
 * the application has imported it.
 * Neighbour: `core/handlers/validation.ts` calls validators and acts on their verdicts.
 */

import { type StandardSchema, schemaValidator, type Validator, type Verdict } from '../../core/handlers/validation.js';
import { InvalidCommandError } from '../../core/model/errors.js';
import { type ValidationIssue } from '../../core/model/payload-errors.js';
import { type Class, getOwnMetadata } from '../decorators/metadata.js';
import { rebuild } from './rebuild-command.js';

/** A complaint of class-validator about one property. */
interface Complaint {
  readonly property?: string;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly Complaint[];
}

interface Options {
  readonly forbidUnknownValues: boolean;
}

interface ClassValidator {
  validateSync(instance: object, options?: Options): readonly Complaint[];
  validate(instance: object, options?: Options): Promise<readonly Complaint[]>;
}

/** The storage of its decorators, shared by all copies of class-validator. It exists as soon as one copy is imported. */
interface DecoratorStorage {
  readonly classValidatorMetadataStorage?: {
    getTargetValidationMetadatas(
      target: Class,
      schema: string,
      always: boolean,
      strictGroups: boolean,
    ): readonly unknown[];
  };
}

const storage = () => (globalThis as DecoratorStorage).classValidatorMetadataStorage;

export class Validators {
  /** @param classValidator see {@link loadClassValidator}. */
  constructor(private readonly classValidator?: ClassValidator) {}

  /** @throws InvalidCommandError when class-validator was imported too late. */
  of(target: Class): Validator | undefined {
    // guards: validators.of
    const schema: StandardSchema | undefined = getOwnMetadata(target, 'schema');
    if (schema) return schemaValidator(schema);
    if (!isDecorated(target)) return undefined;
    if (this.classValidator) return classValidation(this.classValidator, target);
    throw new InvalidCommandError(
      `${target.name} has decorators of class-validator, which was imported after this module had started. Import it before.`,
    );
  }
}

export async function loadClassValidator(): Promise<ClassValidator | undefined> {
  return storage() && ((await import('class-validator')) as unknown as ClassValidator);
}

function isDecorated(target: Class): boolean {
  const decorators = storage()?.getTargetValidationMetadatas(target, '', false, false);
  return decorators !== undefined && decorators.length > 0;
}

/**
 * Before the run only the command itself is an instance again. Its nested objects (`@ValidateNested`) were checked at the enqueue.
 * Asynchronous constraints are checked before the run only.
 */
function classValidation({ validate, validateSync }: ClassValidator, target: Class): Validator {
  const rebuilt = { forbidUnknownValues: false };
  return {
    atEnqueue: data => {
      const isCommand = data instanceof target;
      return verdictOf(data, isCommand ? validateSync(data) : validateSync(rebuild(target, { data }), rebuilt));
    },
    beforeRun: async data => verdictOf(data, await validate(rebuild(target, { data }), rebuilt)),
  };
}

function verdictOf(value: unknown, complaints: readonly Complaint[]): Verdict {
  return complaints.length === 0 ? { value } : { issues: complaints.flatMap(complaint => issuesOf(complaint, [])) };
}

function issuesOf(
  { property, constraints = {}, children = [] }: Complaint,
  above: readonly string[],
): ValidationIssue[] {
  const path = property === undefined ? above : [...above, property];
  const own = Object.values(constraints).map(message => ({ path, message }));
  return [...own, ...children.flatMap(child => issuesOf(child, path))];
}
