/** Helpers of store tests: they read responses, and end fetched jobs. */
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob, JobOptions, NewJob, Settlement } from '../../src/core/model/job.js';
import type { EngineConfig } from '../../src/core/options/config.js';
import type { Claimed, Passed, PodState } from '../../src/core/ports/claims.js';
import type { IntakeResult } from '../../src/core/ports/intake.js';

export function done(job: FetchedJob | undefined, kind: 'completed' | 'failed' | 'dead' = 'completed'): Settlement {
  if (!job) throw new Error('no job was fetched');
  return {
    job,
    outcome: kind === 'completed' ? { kind, value: '"ok"' } : { kind, reason: 'because', stack: 'Error: because' },
  };
}

export function claimOf(answer: IntakeResult | Claimed | Passed): Claimed {
  if (typeof answer === 'object' && 'route' in answer && answer.route === 'claimed') return answer.claimed;
  if (typeof answer === 'object' && 'claim' in answer) return answer;
  throw new Error(`expected a claim, got ${JSON.stringify(answer)}`);
}

/** The numbers of jobs: each test numbers its own. */
export function numbers(jobs: readonly FetchedJob[]): number[] {
  return jobs.map(({ data }) => (data as { n: number }).n);
}

/** Number, attempt and attempts made of each job. */
export function tries(jobs: readonly FetchedJob[]): [n: number, attempt: number, attemptsMade: number][] {
  return jobs.map(({ data, attempt, attemptsMade }) => [(data as { n: number }).n, attempt, attemptsMade]);
}

/** A job of a contract: a withdrawal with a number, under the options of its type and these. */
export function withdrawal(
  config: EngineConfig,
  entity: EntityRef,
  data: { readonly n: number; readonly text?: string },
  options: JobOptions = {},
): NewJob {
  return {
    entity,
    name: 'withdraw',
    data: JSON.stringify(data),
    options: { ...config.entityType(entity.type).jobOptions, ...options },
  };
}

/** The report of a pod that works no entity yet, and takes entities of these types. */
export function serving(...types: string[]): PodState {
  return { types, takesMore: true, workers: 0 };
}
