/**
 * How errors name a call and its Redis: in the words of the caller, not by the step of the script.
 * Owns the words and the errors of calls that were not sent. Neighbours: `channel.ts` sends the calls; `../lua/` has their ops.
 */
import type { RedisOptions } from 'ioredis';
import { asLine } from '../../../core/model/error-text.js';
import { messageOf } from '../../../core/model/errors.js';
import { StoreUnavailableError } from '../../../core/model/store-errors.js';

/** Calls that users make, by the op of each step. The log lines of the engine name its own steps. */
const WORDS: Readonly<Record<string, string>> = {
  add: 'the enqueue',
  addAll: 'the enqueue of several jobs',
  addFlow: 'the enqueue of a flow',
  schedule: 'the request for a schedule',
  schedules: 'the list of schedules',
  unschedule: 'the removal of a schedule',
  cancel: 'the cancellation of a job',
  touch: 'the update of a job',
  children: 'the request for the results of children',
  list: 'the list of jobs',
  pause: 'the request to pause or resume an entity',
  pauseType: 'the request to pause or resume an entity type',
  entitiesOf: 'the search for the entities of an entity type',
  tellOfType: 'the request to pause or resume an entity type',
  unblock: 'the request to unblock an entity',
  drop: 'the request to drop the jobs of an entity',
  clear: 'the removal of dropped jobs',
  isDropping: 'the request to drop the jobs of an entity',
  status: 'the status of an entity',
  letters: 'the list of dead letters',
  letterIds: 'the list of dead letters',
  letterOf: 'the search for a dead letter',
  replay: 'the replay of a dead letter',
  removeLetter: 'the removal of a dead letter',
  due: 'the question for entities with work',
  discover: 'the search for jobs added outside this library',
  requestWorker: 'the request for a worker',
};

export function callWord(op: string): string {
  return Object.hasOwn(WORDS, op) ? (WORDS[op] as string) : `the call "${op}"`;
}

/** As {@link callWord}, at the start of a sentence. */
export function callAsSubject(op: string): string {
  const word = callWord(op);
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}

/** The address of Redis, without credentials. */
export function addressOf({ sentinels, name, path, host, port }: RedisOptions = {}): string {
  if (sentinels) return `the primary "${asLine(String(name))}" of the sentinels`;
  if (path) return asLine(path);
  const hostname = asLine(host ?? 'localhost');
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port ?? 6379}`;
}

/** The message of an error within a sentence: without the full stop that Redis ends some with. */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/\.$/, '');
}

export interface NotSent {
  readonly redis: { readonly status: string; readonly options: RedisOptions };
  readonly timeoutMs: number;
  /** Why Redis accepts no calls, if it has told. */
  readonly refusal: string | undefined;
  /** Why the last attempt to connect failed, if it did. */
  readonly connectionError: Error | undefined;
}

/** The error of a call that has waited for Redis until its deadline. */
export function notSent(op: string, { redis, timeoutMs, refusal, connectionError }: NotSent): StoreUnavailableError {
  const was = refusal === undefined ? 'sent' : 'executed';
  const lack = lackOf(redis.status, refusal, connectionError);
  return new StoreUnavailableError(
    `${callAsSubject(op)} was not ${was} within ${timeoutMs} ms (commandTimeoutMs): Redis at ${addressOf(redis.options)} ${lack}. Nothing was written; try again when Redis is available.`,
    { cause: connectionError },
  );
}

function lackOf(status: string, refusal: string | undefined, connectionError: Error | undefined): string {
  if (refusal !== undefined) return `takes no calls (${reasonOf(refusal)})`;
  if (status === 'ready') return 'does not answer';
  return connectionError ? `can't be reached (${reasonOf(connectionError)})` : "can't be reached";
}

/** Whether Redis has refused the credentials. */
export function isAuthenticationError(error: Error): boolean {
  return /WRONGPASS|NOAUTH|invalid password|invalid username-password/i.test(error.message);
}
