/**
 * Whether a payload is valid for its handler: checked by a schema of Standard Schema, or by another validator.
 *
 * Owns: the verdict on a payload, and when it is asked for. Neighbours: `nest/handlers/validators.ts` says which validator a class has;
 * `nest/bus/queue-bus.ts` asks at enqueue, `run-job.ts` before the run.
 */
import { InvalidOptionError, UnsupportedError } from '../model/errors.js';
import { ValidationError, type ValidationIssue } from '../model/payload-errors.js';

/** A schema that follows https://standardschema.dev: one of zod, valibot, arktype and others. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult | Promise<SchemaResult>;
  };
}

/** The schema of a job's data. */
export interface SchemaOptions {
  /**
   * Schema by Standard Schema (zod, valibot, arktype and others). It checks data at the enqueue and again before the run, and its
   * output is what is enqueued and what the handler gets. So it must accept its own output as the codec returns it: in JSON a date is a
   * text, which `z.coerce.date()` accepts. At the enqueue it must be synchronous. Invalid data is not enqueued. A job that turns out to
   * be invalid before its run fails with a `ValidationError`, without further attempts.
   * @default none
   */
  schema?: StandardSchema;
}

type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type Verdict =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly ValidationIssue[] };

/** Checks a payload, and may convert it. */
export interface Validator {
  /** Synchronous: an enqueue that had to wait would be overtaken by the next one. @throws UnsupportedError if it can't be. */
  atEnqueue(data: unknown): Verdict;
  beforeRun(data: unknown): Verdict | Promise<Verdict>;
}

/** One check by a validator, with the subject of its error message. */
export interface Validation {
  readonly validator: Validator;
  readonly culprit: string;
  /** Only the paths of invalid parts may stand in an error. */
  readonly isSecret: boolean;
}

/** @throws InvalidOptionError (at import) if it is no schema; `path` says where it was written. */
export function checkSchema(path: string, schema: StandardSchema): void {
  const standard = schema?.['~standard'];
  if (typeof standard?.validate === 'function' && standard.version === 1) return;
  throw new InvalidOptionError(
    `${path} must be a schema by Standard Schema version 1, such as one of zod, valibot or arktype.`,
  );
}

export function schemaValidator(schema: StandardSchema): Validator {
  const standard = schema['~standard'];
  return {
    atEnqueue: data => {
      const result = standard.validate(data);
      // guards: validation.schemaValidator
      if (!isPromise(result)) return verdictOf(result);
      // Its result is not awaited.
      result.catch(() => {});
      throw new UnsupportedError(
        'An asynchronous schema cannot be used at enqueue, because waiting for it would change the order of jobs. Nothing was enqueued. Move asynchronous checks into the handler.',
      );
    },
    beforeRun: data => {
      const result = standard.validate(data);
      return isPromise(result) ? result.then(verdictOf) : verdictOf(result);
    },
  };
}

function isPromise(result: SchemaResult | Promise<SchemaResult>): result is Promise<SchemaResult> {
  return 'then' in result;
}

function verdictOf(result: SchemaResult): Verdict {
  return result.issues === undefined ? result : { issues: result.issues.map(issueOf) };
}

function issueOf({ path = [], message }: SchemaIssue): ValidationIssue {
  return { path: path.map(step => nameOf(typeof step === 'object' ? step.key : step)), message: String(message) };
}

function nameOf(key: PropertyKey): string | number {
  return typeof key === 'symbol' ? String(key) : key;
}

/**
 * Checks a payload as it comes in.
 * @returns the payload as the validator has converted it, which is enqueued.
 * @throws ValidationError, UnsupportedError
 */
export function validAtEnqueue(data: unknown, validation: Validation): unknown {
  return accepted(validation.validator.atEnqueue(data), validation, 'enqueue');
}

/**
 * Checks a payload from the queue, which another program or an older version may have written.
 * @returns the payload as the validator has converted it, which the handler gets.
 * @throws ValidationError
 */
export async function validBeforeRun(data: unknown, validation: Validation): Promise<unknown> {
  return accepted(await validation.validator.beforeRun(data), validation, 'run');
}

function accepted(verdict: Verdict, { culprit, isSecret }: Validation, stage: 'enqueue' | 'run'): unknown {
  if (verdict.issues === undefined) return verdict.value;
  // guards: validation.accepted
  const issues = isSecret ? verdict.issues.map(({ path }) => ({ path, message: 'is invalid' })) : verdict.issues;
  throw new ValidationError(culprit, issues, stage);
}
