/** Runs a batch of calls in the real store, and tells the checker of each entity what it did. */

import type { Claim } from '../../../src/core/model/claim.js';
import { type EntityRef, entityKey } from '../../../src/core/model/entity.js';
import type { NewJob, Settlement } from '../../../src/core/model/job.js';
import type { Renewal, Renewed } from '../../../src/core/ports/claims.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import type { EntityChecker, Step, Violate } from './entity-checker.js';
import type { Snapshot } from './snapshot.js';
import { entityOf } from './walk-store.js';
import type { Call, Outcome } from './wire.js';

export interface StepsParts {
  see(word: string): Snapshot;
  checker(word: string): EntityChecker;
  readonly violate: Violate;
  nowMs(): number;
  note(...what: unknown[]): void;
}

interface Made {
  readonly call: Call;
  readonly entity: EntityRef | undefined;
  readonly before: Snapshot | undefined;
  readonly after: Snapshot | undefined;
  /** All claims of a renewal, and when it was made. */
  readonly owners: readonly Snapshot['owner'][];
  readonly nowMs: number;
  readonly answer: Promise<unknown>;
}

export async function runBatch(
  parts: StepsParts,
  podId: string,
  store: EntityStore,
  calls: readonly Call[],
): Promise<readonly Outcome[]> {
  const made = calls.map(call => make(parts, store, call));
  const results = await Promise.allSettled(made.map(({ answer }) => answer));
  const outcomes = results.map(result =>
    result.status === 'fulfilled' ? { value: result.value } : { error: result.reason as Error },
  );
  for (const [at, step] of made.entries()) tellBooks(parts, podId, step, outcomes[at]);
  for (const { entity } of made) if (entity) parts.checker(entityKey(entity)).endOfBatch();
  return outcomes;
}

function make(parts: StepsParts, store: EntityStore, call: Call): Made {
  const entity = entityOf(call);
  const word = entity && entityKey(entity);
  const owners =
    call.method === 'renew'
      ? (call.args[0] as Renewal[]).map(({ claim }) => parts.see(entityKey(claim.entity)).owner)
      : [];
  const before = word === undefined ? undefined : parts.see(word);
  const method = store[call.method as 'tryClaim'] as (...args: unknown[]) => Promise<unknown>;
  const answer = method.apply(store, [...call.args]);
  const after = word === undefined ? undefined : parts.see(word);
  return { call, entity, before, after, owners, nowMs: parts.nowMs(), answer };
}

function tellBooks(parts: StepsParts, podId: string, made: Made, outcome: Outcome | undefined): void {
  const { call, entity, before, after, nowMs } = made;
  const error = outcome && 'error' in outcome ? outcome.error : undefined;
  if (call.method === 'renew') checkRenewal(parts, podId, made, outcome);
  if (!entity || !before || !after) return;
  const step: Step = { podId, ...readCall(call), before, after, error, nowMs };
  parts.note(`  ${podId}.${call.method}`, entity.id, describe(step), error ? `! ${error.name}` : '→', show(after));
  parts.checker(entityKey(entity)).observe(step);
}

/** I3: a claim is renewed for its owner, and lost for all others. */
function checkRenewal({ violate }: StepsParts, podId: string, { call, owners }: Made, outcome?: Outcome): void {
  if (!outcome || 'error' in outcome) {
    violate(`a renewal of ${podId} failed`);
    return;
  }
  const { lost } = outcome.value as Renewed;
  for (const [at, { claim }] of (call.args[0] as Renewal[]).entries()) {
    const owner = owners[at];
    const isOurs = owner?.podId === podId && owner.epoch >= claim.epoch;
    if (isOurs === lost.includes(at))
      violate(
        `I3: a renewal of ${podId} says that ${entityKey(claim.entity)} is ${isOurs ? 'lost' : 'kept'}, and it is not`,
      );
  }
}

type ReadCall = Pick<Step, 'method' | 'claim' | 'epoch' | 'settled' | 'added'>;

export function readCall({ method, args }: Pick<Call, 'method' | 'args'>): ReadCall {
  const [first, second, third] = args;
  switch (method) {
    case 'add': {
      const { data, options } = first as NewJob;
      const added = { n: (JSON.parse(data) as { n: number }).n, jobId: options['jobId'] as string | undefined };
      return { method, settled: [], added };
    }
    case 'tryClaim':
      return { method, settled: [], epoch: second as number };
    case 'resync':
      return {
        method,
        claim: first as Claim,
        epoch: second as number,
        settled: (third as Settlement[]).map(readSettlement),
      };
    case 'finish':
      return { method, claim: first as Claim, settled: (second as Settlement[]).map(readSettlement) };
    default:
      return { method: method as 'take' | 'release', claim: first as Claim, settled: [] };
  }
}

export function readSettlement({ job, outcome }: Settlement) {
  const attempts = Number(job.options['attempts'] ?? 1);
  return {
    n: (job.data as { n: number }).n,
    kind: outcome.kind,
    made: job.attemptsMade,
    attempt: job.attempt,
    attempts,
  };
}

export function describe({ claim, epoch, settled, added }: Step): string {
  const parts = [
    claim && `under epoch ${claim.epoch}`,
    epoch !== undefined && `as ${epoch}`,
    settled.length > 0 && `ending ${settled.map(({ n }) => n)}`,
    added && `adding ${added.n}`,
  ];
  return parts.filter(part => part).join(' ');
}

export function show({ owner, active, wait, delayed, paused, hold }: Snapshot): string {
  const held = hold ? ` held until ${hold.untilMs}` : '';
  const late = delayed.length > 0 ? ` later ${delayed}` : '';
  return `[${owner ? `${owner.podId}/${owner.epoch}` : 'nobody'} ${active} | ${wait}${held}${late}${paused ? ' paused' : ''}]`;
}
