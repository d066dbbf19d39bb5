/**
 * Claims on Redis: which pod works an entity.
 * Neighbours: `lua/try-claim.lua`, `lua/resync.lua`, `lua/release.lua` and `lua/renewal.lua` say what each step does; `work.ts` is
 * what an owner does; `renewal/` sends the renewals.
 */
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, encodeSegment } from '../../core/model/entity.js';
import { rejecting } from '../../core/model/errors.js';
import type { FetchedJob, Settlement } from '../../core/model/job.js';
import type { Claimed, Claims, Passed, PodState, ReleaseMode, Renewal, Renewed } from '../../core/ports/claims.js';
import type { StoreContext } from './context.js';
import { checkStale } from './decode.js';
import type { JobEnds } from './job-end.js';
import type { JobReader } from './job-reader.js';
import { encode } from './lua/generated-wire.js';
import { encodeRenewal } from './renewal/encode-renewal.js';
import type { Renewals } from './renewal/renewals.js';

export interface ClaimsParts {
  readonly reader: JobReader;
  readonly ends: JobEnds;
  readonly renewals: Renewals;
}

export class RedisClaims implements Claims {
  constructor(
    private readonly context: StoreContext,
    private readonly parts: ClaimsParts,
  ) {}

  tryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    return rejecting(() => this.sendTryClaim(entity, claimWith));
  }

  private sendTryClaim(entity: EntityRef, claimWith: number): Promise<Claimed | Passed> {
    const { keySpace, config, channel } = this.context;
    const { base, type, id } = keySpace.of(entity);
    const { maxStalledCount } = config.entityType(entity.type);
    const takeOpts = this.parts.ends.takeOptions(entity);
    const args = encode.tryClaim({ base, type, id, epoch: claimWith, takeOpts, maxStalled: maxStalledCount });
    // guards: claims.sendTryClaim
    return channel.call('tryClaim', args, response =>
      response[0] === 'CLAIMED' ? this.parts.reader.claimed(response, 1, entity, claimWith) : passed(response[0]),
    );
  }

  peek(entity: EntityRef): Promise<Passed | 'waiting'> {
    const args = encode.tryClaim({ ...this.context.keySpace.of(entity), epoch: '', takeOpts: '', maxStalled: 0 });
    return this.context.channel.call('tryClaim', args, ([found]) => (found === 'WAITING' ? 'waiting' : passed(found)));
  }

  resync(claim: Claim, epoch: number, settled: readonly Settlement[]): Promise<Claimed> {
    const { pages, last } = this.parts.ends.pages(settled);
    // Resolved when the response is read, not by a later promise: responses keep the order of the calls.
    return new Promise((resolve, reject) => {
      const sendLast = () => this.sendResync(claim, epoch, { last, resolve });
      (pages.length === 0 ? sendLast() : this.sendEnds(claim, epoch, pages).then(sendLast)).catch(reject);
    });
  }

  /** One step after the other: a later page must not be ended if an earlier one was refused. */
  private async sendEnds(claim: Claim, epoch: number, pages: readonly Settlement[][]): Promise<void> {
    const { base } = this.context.keySpace.of(claim.entity);
    for (const page of pages) {
      const ends = this.parts.ends.sentEnds(claim.entity, page);
      const args = encode.endBeforeResync({ base, epoch: claim.epoch, newEpoch: epoch }, ends);
      await this.context.channel.call('endBeforeResync', args, response => checkStale(response, claim));
    }
  }

  private sendResync(
    claim: Claim,
    epoch: number,
    { last, resolve }: { last: readonly Settlement[]; resolve: (claimed: Claimed) => void },
  ): Promise<void> {
    const { reader, ends } = this.parts;
    const { base, type, id } = this.context.keySpace.of(claim.entity);
    const call = { base, type, id, epoch: claim.epoch, newEpoch: epoch, takeOpts: ends.takeOptions(claim.entity) };
    const args = encode.resync(call, ends.sentEnds(claim.entity, last));
    return this.context.channel.call('resync', args, response => {
      checkStale(response, claim);
      resolve(reader.claimed(response, 1, claim.entity, epoch));
    });
  }

  release(claim: Claim, mode: ReleaseMode): Promise<boolean> {
    const { base, type, id } = this.context.keySpace.of(claim.entity);
    return this.context.channel.call(
      'release',
      encode.release({ base, type, id, epoch: claim.epoch, mode }),
      response => {
        checkStale(response, claim);
        return response[1] === '1';
      },
    );
  }

  defer(claim: Claim, job: FetchedJob, graceMs: number): Promise<boolean> {
    const { base, type, id } = this.context.keySpace.of(claim.entity);
    const args = encode.defer({ base, type, id, epoch: claim.epoch, jobId: job.id, graceMs });
    return this.context.channel.call('defer', args, response => {
      checkStale(response, claim);
      return response[1] === '1';
    });
  }

  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed> {
    return this.parts.renewals.renew(
      renewals.map(renewal => encodeRenewal(this.context, renewal)),
      { ...pod, types: pod.types.map(encodeSegment) },
    );
  }
}

function passed(found: unknown): Passed {
  return found === 'OWNED' ? 'owned' : found === 'PAUSED' ? 'paused' : 'later';
}
