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
import { encode } from './lua/generated-wire.js';

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
    const takeOpts = this.parts.ends.takeOptions(claim.entity);
    const args = encode.take({ base, type, id, epoch: claim.epoch, takeOpts, n: count, upTo, forMs });
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
    const takeOpts = ends.takeOptions(claim.entity);
    const call = { base, epoch: claim.epoch, n: take, takeOpts, ordered: isOrdered ? 1 : 0 } as const;
    const [first] = settlements;
    const args =
      isOne && first
        ? encode.finish(call, ends.endOf(claim.entity, first, 1), first.alongside ?? [])
        : encode.finishAll(call, ends.endsOf(claim.entity, settlements));
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
    return this.context.channel.call('giveBack', encode.giveBack({ base, epoch: claim.epoch }, kept), response =>
      checkStale(response, claim),
    );
  }
}
