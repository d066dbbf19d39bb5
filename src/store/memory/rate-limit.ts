/** The rate limit of an entity in memory: how many jobs start in a span. Neighbours: `fetch.ts` spends, `removal.ts` refunds. */
import type { EntityTypeConfig } from '../../core/options/config.js';
import type { StoredEntity, StoredJob } from './state.js';

type RateLimit = EntityTypeConfig['rateLimit'];

/** How many of so many jobs may be fetched now. */
export function capacityInRate(entity: StoredEntity, limit: number, rateLimit: RateLimit, nowMs: number): number {
  if (!rateLimit) return limit;
  if (entity.spent && entity.spent.untilMs <= nowMs) entity.spent = undefined;
  return Math.max(0, Math.min(limit, rateLimit.max - (entity.spent?.count ?? 0)));
}

/** The span begins with the first job that is fetched in it. A job that fails without running spends nothing. */
export function spend(entity: StoredEntity, fetched: readonly StoredJob[], rateLimit: RateLimit, nowMs: number): void {
  const starts = fetched.filter(({ mustFail }) => !mustFail).length;
  if (!rateLimit || starts === 0) return;
  entity.spent ??= { sinceMs: nowMs, untilMs: nowMs + rateLimit.durationMs, count: 0 };
  entity.spent.count += starts;
}

/** Jobs that go back without a start were not spent. */
export function refund({ spent }: StoredEntity, jobs: readonly StoredJob[], nowMs: number): void {
  if (!spent || spent.untilMs <= nowMs) return;
  spent.count -= jobs.filter(({ fetchedAtMs = 0, mustFail }) => !mustFail && fetchedAtMs >= spent.sinceMs).length;
}
