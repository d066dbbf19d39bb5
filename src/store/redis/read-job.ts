/**
 * Fetched jobs: from the fields of their hashes in Redis to what the core reads. A field that others have damaged fails its job alone.
 * Neighbours: `lua/take.lua` has the layout; `bullmq/job-fields.ts` checks fields; `job-reader.ts` reads whole responses.
 */
import type { Claim } from '../../core/model/claim.js';
import { type ChildRef, type Envelope, NO_ENVELOPE, tryEnvelope } from '../../core/model/envelope.js';
import type { ChildResult, FetchedJob } from '../../core/model/job.js';
import { readThrown, type Thrown } from '../../core/model/reply.js';
import type { Fetched } from '../../core/ports/work.js';
import { type Read, type RedisJobOptions, readCount, readOptions } from './bullmq/job-fields.js';
import type { JobHash } from './bullmq/native-job.js';

/** A fetched job as this store knows it: the core's view, and what its end needs. */
export interface RedisJob extends FetchedJob {
  readonly options: RedisJobOptions;
  /** Stacks of its earlier attempts, as JSON text. */
  readonly stacks: string | undefined;
  /** The schedule that made it. */
  readonly scheduleId: string | undefined;
  /** Another job may wait for it: BullMQ's field of that name, '' if it was deleted. */
  readonly parent: string | undefined;
  /** Tells it from other jobs that have had its id: its number in its queue, if it has an id of its own, and when it was added. */
  readonly birth: readonly [nth: string, addedAt: string];
}

/** What a job can be asked for later, under the claim it was fetched under. */
export interface OfJobs {
  native(claim: Claim, hash: JobHash): unknown;
  children(claim: Claim, id: string, children: readonly ChildRef[]): Promise<readonly ChildResult[]>;
}

const LIMITED = 'limited ';
/** The reason of a parent whose child has failed, in a flow of ours or of BullMQ's. */
const FAILED_CHILD = /^child .* failed/is;
/** A field of a job's hash that BullMQ does not have: its envelope. */
const ENVELOPE = 'aq';
/** Another such field: what a job that blocks its entity has failed with. */
export const THROWN = 'thrown';

/** Reads `againInMs, id, fields, id, fields …` from a position on. */
export function readFetched(response: readonly unknown[], at: number, claim: Claim, ofJobs: OfJobs): Fetched {
  const jobs: RedisJob[] = [];
  for (let i = at + 1; i < response.length; i += 2) {
    jobs.push(readJob(String(response[i]), response[i + 1] as string[], claim, ofJobs));
  }
  const again = String(response[at]);
  if (again === '-1') return { jobs };
  if (again === 'recalled') return { jobs, isRecalled: true };
  if (again === 'more') return { jobs, isPartial: true };
  return again.startsWith(LIMITED)
    ? { jobs, againInMs: Number(again.slice(LIMITED.length)), isLimited: true }
    : { jobs, againInMs: Number(again) };
}

/** The fields of a hash, before they are checked against each other. */
interface Fields {
  name: string | undefined;
  json: string | undefined;
  options: RedisJobOptions;
  attempt: number;
  attemptsMade: number;
  stacks: string | undefined;
  mustFail: string | undefined;
  isSkipped: boolean;
  scheduleId: string | undefined;
  parent: string | undefined;
  nth: string;
  addedAt: string;
  thrown: Thrown | undefined;
  envelope: Envelope;
  /** The first fault. */
  damage: string | undefined;
}

/** @param all names and values by turns. */
function readFields(all: readonly string[]): Fields {
  const fields: Fields = {
    name: undefined,
    json: undefined,
    options: {},
    attempt: 1,
    attemptsMade: 0,
    stacks: undefined,
    mustFail: undefined,
    isSkipped: false,
    scheduleId: undefined,
    parent: undefined,
    nth: '',
    addedAt: '',
    thrown: undefined,
    envelope: NO_ENVELOPE,
    damage: undefined,
  };
  for (let i = 0; i < all.length; i += 2) {
    const value = all[i + 1] ?? '';
    if (all[i] === 'name') fields.name = value;
    else if (all[i] === 'data') fields.json = value;
    else if (all[i] === 'opts') fields.options = sound(fields, 'opts', readOptions(value));
    else if (all[i] === 'ats') fields.attempt = sound(fields, 'ats', readCount(value));
    else if (all[i] === 'atm') fields.attemptsMade = sound(fields, 'atm', readCount(value));
    else if (all[i] === 'stacktrace') fields.stacks = value;
    else if (all[i] === 'defa') fields.mustFail = value;
    else if (all[i] === 'skip') fields.isSkipped = true;
    else if (all[i] === THROWN) fields.thrown = readThrown(value);
    else if (all[i] === 'rjk') fields.scheduleId = value;
    else if (all[i] === 'parentKey') fields.parent ??= '';
    else if (all[i] === 'parent') fields.parent = value;
    else if (all[i] === 'nth') fields.nth = value;
    else if (all[i] === 'timestamp') fields.addedAt = value;
    else if (all[i] === ENVELOPE) fields.envelope = sound(fields, ENVELOPE, openEnvelope(value));
  }
  return fields;
}

function readJob(id: string, all: readonly string[], claim: Claim, ofJobs: OfJobs): RedisJob {
  const fields = readFields(all);
  const { name, json, isSkipped, envelope } = fields;
  let { mustFail } = fields;
  let data: unknown;
  if (json === undefined) {
    mustFail ??= 'the data of the job is gone: its hash was deleted';
  } else {
    try {
      data = JSON.parse(json);
    } catch {
      // The message of the error would repeat a part of the data.
      mustFail ??= 'the data of the job is not JSON';
    }
  }
  mustFail ??= fields.damage ?? (name === undefined ? 'the field "name" of its hash is missing' : undefined);
  const { children: of } = envelope;
  let built: unknown;
  return {
    id,
    name: name ?? '',
    data,
    attempt: fields.attempt,
    attemptsMade: fields.attemptsMade,
    mustFail,
    thrown: fields.thrown,
    hasFailedChild: mustFail !== undefined && !isSkipped && FAILED_CHILD.test(mustFail),
    isSkipped,
    options: fields.options,
    envelope,
    stacks: fields.stacks,
    scheduleId: fields.scheduleId,
    parent: fields.parent,
    birth: [fields.nth, fields.addedAt],
    native: payload => (built ??= ofJobs.native(claim, { id, fields: all, payload })),
    children: of && (() => ofJobs.children(claim, id, of)),
  };
}

function sound<T>(fields: Fields, name: string, { value, fault }: Read<T>): T {
  if (fault !== undefined) fields.damage ??= `the field "${name}" of its hash ${fault}`;
  return value;
}

/** An unreadable envelope is a fault: without its codec the payload would be read as plain JSON. */
function openEnvelope(text: string): Read<Envelope> {
  const value = tryEnvelope(text);
  return value ? { value } : { value: NO_ENVELOPE, fault: 'is no envelope' };
}
