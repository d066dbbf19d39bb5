/**
 * Answers of the scripts, turned into what the core reads.
 * Layouts are told in the scripts: `take.lua` for jobs, each op for its own.
 */

import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import { type ChildRef, type Envelope, NO_ENVELOPE, readEnvelope, tryEnvelope } from '../../core/model/envelope.js';
import { InvalidOptionError } from '../../core/model/errors.js';
import type { ChildResult, FetchedJob } from '../../core/model/job.js';
import { noLongerOwned } from '../../core/model/job-errors.js';
import { readThrown, type Thrown } from '../../core/model/reply.js';
import type { Codecs } from '../../core/payload/codec.js';
import { showPayload } from '../../core/payload/payload.js';
import type { Fetched } from '../../core/ports/work.js';
import { type Read, type RedisJobOptions, readCount, readOptions } from './bullmq/job-fields.js';
import type { JobHash } from './bullmq/native-job.js';

/** A fetched job as this store knows it: the core's view and the options that its end needs. */
export interface RedisJob extends FetchedJob {
  readonly options: RedisJobOptions;
  /** Those of the tries before, as JSON text. */
  readonly stacks: string | undefined;
  /** The schedule that made it. */
  readonly scheduleId: string | undefined;
  /** Another job may wait for it: BullMQ's field of that name, '' where it is gone. */
  readonly parent: string | undefined;
  /** Which of the jobs that have had its id it is: its number in its queue, which only one with an id of its own has, and when it was added. */
  readonly birth: readonly [nth: string, addedAt: string];
}

/** What a job can be asked for later, under the claim it was fetched under. */
export interface OfJobs {
  native(claim: Claim, hash: JobHash): unknown;
  children(claim: Claim, id: string, children: readonly ChildRef[]): Promise<readonly ChildResult[]>;
}

/** @throws StaleClaimError when the guard refused the step. */
export function checkStale(answer: readonly unknown[], claim: Claim): void {
  if (answer[0] === 'STALE') {
    throw noLongerOwned(claim);
  }
}

/** Two entities that a type's `queueName` gives one queue: under one claim each would run the other's jobs. */
export function sharedQueue(base: string, entity: EntityRef, whose: unknown): InvalidOptionError {
  return new InvalidOptionError(
    `The queue ${base} belongs to ${String(whose).slice(0, MAX_SHOWN)}; queueName must give ${entityKey(entity)} one of its own.`,
  );
}

/** Of a text that others may have written, in an error or a log line. */
const MAX_SHOWN = 300;

/** Rows of so many fields, each read by itself. */
export function readRows<T>(answer: readonly unknown[], fields: number, read: (row: readonly string[]) => T): T[] {
  const rows: T[] = [];
  for (let at = 0; at < answer.length; at += fields) rows.push(read(answer.slice(at, at + fields).map(String)));
  return rows;
}

/** Rows from a position on, in as many calls as it takes: one brings no more than it may weigh. */
export async function readPages<T>(
  from: number,
  limit: number,
  ask: (from: number, limit: number) => Promise<{ readonly isCut: boolean; readonly rows: readonly T[] }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let isCut = true; isCut && all.length < limit; ) {
    const page = await ask(from + all.length, limit - all.length);
    all.push(...page.rows);
    ({ isCut } = page);
  }
  return all;
}

/** JSON for a person to see: what somebody has written by hand is shown as it is. */
export function readJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** A payload for a person to see. @param envelope as it is stored; '' for none. */
export function readPayload(codecs: Codecs, json: string, envelope: string): unknown {
  const stored = readJson(json);
  return envelope === '' ? stored : showPayload(codecs, readEnvelope(envelope), stored);
}

/** Reads `againInMs, id, fields, id, fields …` from a position on. */
export function readFetched(answer: readonly unknown[], at: number, claim: Claim, ofJobs: OfJobs): Fetched {
  const jobs: RedisJob[] = [];
  for (let i = at + 1; i < answer.length; i += 2) {
    jobs.push(readJob(String(answer[i]), answer[i + 1] as string[], claim, ofJobs));
  }
  const again = String(answer[at]);
  if (again === '-1') return { jobs };
  if (again === 'recalled') return { jobs, isRecalled: true };
  if (again === 'more') return { jobs, isPartial: true };
  return again.startsWith(LIMITED)
    ? { jobs, againInMs: Number(again.slice(LIMITED.length)), isLimited: true }
    : { jobs, againInMs: Number(again) };
}

const LIMITED = 'limited ';
/** Of a flow of ours, or of BullMQ's own. */
const FAILED_CHILD = /^child .* failed/is;
/** Of a job's hash; BullMQ knows no such field. */
const ENVELOPE = 'aq';
/** As that: what a job that blocks has failed with. */
export const THROWN = 'thrown';

function readJob(id: string, fields: readonly string[], claim: Claim, ofJobs: OfJobs): RedisJob {
  let name: string | undefined;
  let json: string | undefined;
  let options: RedisJob['options'] = {};
  let attempt = 1;
  let attemptsMade = 0;
  let stacks: string | undefined;
  let mustFail: string | undefined;
  let isSkipped = false;
  let scheduleId: string | undefined;
  let parent: string | undefined;
  let nth = '';
  let addedAt = '';
  let thrown: Thrown | undefined;
  let envelope: Envelope = NO_ENVELOPE;
  let damage: string | undefined;
  const sound = <T>(field: string, { value, fault }: Read<T>): T => {
    if (fault !== undefined) damage ??= `the field "${field}" of its hash ${fault}`;
    return value;
  };
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1] ?? '';
    if (fields[i] === 'name') name = value;
    else if (fields[i] === 'data') json = value;
    else if (fields[i] === 'opts') options = sound('opts', readOptions(value));
    else if (fields[i] === 'ats') attempt = sound('ats', readCount(value));
    else if (fields[i] === 'atm') attemptsMade = sound('atm', readCount(value));
    else if (fields[i] === 'stacktrace') stacks = value;
    else if (fields[i] === 'defa') mustFail = value;
    else if (fields[i] === 'skip') isSkipped = true;
    else if (fields[i] === THROWN) thrown = readThrown(value);
    else if (fields[i] === 'rjk') scheduleId = value;
    else if (fields[i] === 'parentKey') parent ??= '';
    else if (fields[i] === 'parent') parent = value;
    else if (fields[i] === 'nth') nth = value;
    else if (fields[i] === 'timestamp') addedAt = value;
    else if (fields[i] === ENVELOPE) envelope = sound(ENVELOPE, openEnvelope(value));
  }
  let data: unknown;
  if (json === undefined) {
    mustFail ??= 'the data of the job is gone: somebody deleted its hash';
  } else {
    try {
      data = JSON.parse(json);
    } catch {
      // The error would repeat a part of it.
      mustFail ??= 'the data of the job is not JSON';
    }
  }
  if (name === undefined) damage ??= 'the field "name" of its hash is missing';
  mustFail ??= damage;
  const { children: of } = envelope;
  let built: unknown;
  return {
    id,
    name: name ?? '',
    data,
    attempt,
    attemptsMade,
    mustFail,
    thrown,
    hasFailedChild: mustFail !== undefined && !isSkipped && FAILED_CHILD.test(mustFail),
    isSkipped,
    options,
    envelope,
    stacks,
    scheduleId,
    parent,
    birth: [nth, addedAt],
    native: payload => (built ??= ofJobs.native(claim, { id, fields, payload })),
    children: of && (() => ofJobs.children(claim, id, of)),
  };
}

/** Without its codec the payload would be taken for another, so one that can't be read is a fault. */
function openEnvelope(text: string): Read<Envelope> {
  const value = tryEnvelope(text);
  return value ? { value } : { value: NO_ENVELOPE, fault: 'is no envelope' };
}
