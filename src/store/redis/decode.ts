/**
 * What several steps respond with: refusals of the guard, rows, pages, payloads.
 * Neighbours: `read-job.ts` reads fetched jobs; the layout of each other response is with its step, in `lua/`.
 */
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import { readEnvelope } from '../../core/model/envelope.js';
import { InvalidOptionError } from '../../core/model/errors.js';
import { noLongerOwned } from '../../core/model/job-errors.js';
import type { Codecs } from '../../core/payload/codec.js';
import { showPayload } from '../../core/payload/payload.js';

/** @throws StaleClaimError when the guard refused the step. */
export function checkStale(response: readonly unknown[], claim: Claim): void {
  if (response[0] === 'STALE') throw noLongerOwned(claim);
}

/** A type's `queueName` gives two entities one queue: under one claim, each would run the other's jobs. */
export function sharedQueue(base: string, entity: EntityRef, whose: unknown): InvalidOptionError {
  return new InvalidOptionError(
    `The queue ${base} belongs to ${String(whose).slice(0, MAX_SHOWN)}; queueName must give ${entityKey(entity)} one of its own.`,
  );
}

/** Maximum length of a text from Redis in an error or a log line: it may come from outside this library. */
const MAX_SHOWN = 300;

/** Reads rows of so many fields each. */
export function readRows<T>(response: readonly unknown[], fields: number, read: (row: readonly string[]) => T): T[] {
  const rows: T[] = [];
  for (let at = 0; at < response.length; at += fields) rows.push(read(response.slice(at, at + fields).map(String)));
  return rows;
}

/** Reads rows from a position on, in as many calls as it takes: each response is bounded in bytes. */
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

/** Reads JSON for the operator to see. Text that is no JSON is shown as it is. */
export function readJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** Reads a payload for the operator to see. @param envelope as it is stored; '' for none. */
export function readPayload(codecs: Codecs, json: string, envelope: string): unknown {
  const stored = readJson(json);
  return envelope === '' ? stored : showPayload(codecs, readEnvelope(envelope), stored);
}
