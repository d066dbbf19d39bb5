/**
 * The work of an owner on Redis: fetch, end, give back.
 * Neighbours: `lua/take.lua`, `lua/finish.lua` and `lua/release.lua` say what each step does; `job-end.ts` encodes ends;
 * `claims.ts` makes this pod the owner.
 */
import type { Claim } from '../../core/model/claim.js';
import type { Settlement } from '../../core/model/job.js';
import { overtakes } from '../../core/model/store-errors.js';
import type { Fetched, Gathering, Work } from '../../core/ports/work.js';
import type { StoreContext } from './context.js';
import { checkStale } from './decode.js';
import type { JobEnds } from './job-end.js';
import type { JobReader } from './job-reader.js';

export interface WorkParts {
  readonly reader: JobReader;
  readonly ends: JobEnds;
}

export class RedisWork implements Work {
  constructor(
    private readonly context: StoreContext,
    private readonly parts: WorkParts,
  ) {}

  take(claim: Claim, count = 1, gathering?: Gathering): Promise<Fetched> {
    const { base, type, id } = this.context.keySpace.of(claim.entity);
    const { upTo = '', forMs = '' } = gathering ?? {};
    const args = [base, type, id, claim.epoch, this.parts.ends.takeOptions(claim.entity), count, upTo, forMs];
    return this.context.channel.call('take', args, response => {
      checkStale(response, claim);
      return this.parts.reader.taken(response, 1, claim);
    });
  }

  /** One job has a step of its own, the fast path: nearly every end is of one job. */
  finish(claim: Claim, settlements: readonly Settlement[], take: number): Promise<Fetched> {
    const { ends, reader } = this.parts;
    const { base } = this.context.keySpace.of(claim.entity);
    const { isOrdered } = this.context.config.entityType(claim.entity.type);
    const isOne = settlements.length === 1;
    const encoded = ends.arguments(claim.entity, settlements);
    const beside = settlements[0]?.beside ?? [];
    const args = [base, claim.epoch, take, ends.takeOptions(claim.entity), isOrdered ? 1 : 0, ...encoded, ...beside];
    return this.context.channel.call(isOne ? 'finish' : 'finishAll', args, response => {
      checkStale(response, claim);
      if (response[0] === 'EARLY') throw overtakes(settlements.at(-1)?.job.id ?? '');
      const codes = isOne ? [response[1]] : (response[1] as readonly unknown[]);
      for (const [index, settlement] of settlements.entries()) ends.report(claim, settlement, Number(codes[index]));
      return reader.fetched(response, 2, claim);
    });
  }

  giveBack(claim: Claim, kept: readonly string[]): Promise<void> {
    const { base } = this.context.keySpace.of(claim.entity);
    return this.context.channel.call('giveBack', [base, claim.epoch, ...kept], response => checkStale(response, claim));
  }
}
