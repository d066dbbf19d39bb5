/**
 * Responses that bring jobs, and the claim with them if there is one.
 *
 * Owns: what a fetched job can be asked for later, and that the renewals know of a claim before its first job starts.
 * Neighbours: `read-job.ts` reads the fields; `intake.ts`, `claims.ts` and `work.ts` send the steps.
 */
import type { Redis } from 'ioredis';
import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { Claimed } from '../../core/ports/claims.js';
import type { Fetched } from '../../core/ports/work.js';
import { NativeJobs } from './bullmq/native-job.js';
import { ChildResults } from './child-results.js';
import type { StoreContext } from './context.js';
import { checkStale } from './decode.js';
import { encode } from './lua/generated-wire.js';
import { type OfJobs, readFetched } from './read-job.js';
import { encodeRenewal } from './renewal/encode-renewal.js';
import type { Renewals } from './renewal/renewals.js';

export class JobReader {
  private readonly ofJobs: OfJobs;

  /** @param redis for what a handler reads of BullMQ's job. */
  constructor(
    private readonly context: StoreContext,
    private readonly renewals: Renewals,
    redis: Redis,
  ) {
    const { keySpace, channel } = context;
    const native = new NativeJobs(redis, (claim, body, keys, args) =>
      channel.call(
        'touch',
        encode.touch({ base: keySpace.of(claim.entity).base, epoch: claim.epoch, body, nKeys: keys.length }, [
          ...keys,
          ...args,
        ]),
        response => {
          checkStale(response, claim);
          return response[1];
        },
      ),
    );
    const children = new ChildResults(context);
    this.ofJobs = {
      native: (claim, hash) => native.build(keySpace.of(claim.entity), claim, hash),
      children: (...args) => children.of(...args),
    };
  }

  /** Reads `againInMs, jobs…` from a position on. */
  fetched(response: readonly unknown[], at: number, claim: Claim): Fetched {
    return readFetched(response, at, claim, this.ofJobs);
  }

  /** Reads `reactivated, againInMs, jobs…` from a position on. */
  taken(response: readonly unknown[], at: number, claim: Claim): Fetched {
    const fetched = this.fetched(response, at + 1, claim);
    if (response[at] !== '1') return fetched;
    this.tellRenewals(claim, fetched);
    return { ...fetched, isReactivated: true };
  }

  /** Reads `token, recovered, foreign, againInMs, jobs…` from a position on. */
  claimed(response: readonly unknown[], at: number, entity: EntityRef, epoch: number): Claimed {
    const claim: Claim = { entity, token: String(response[at]), epoch };
    if (Number(response[at + 2]) > 0) {
      this.context.log.warn(
        `${response[at + 2]} jobs of ${entityKey(entity)} are locked by a BullMQ Worker outside this library; they were left alone. Don't attach a Worker to this queue.`,
      );
    }
    const fetched = this.fetched(response, at + 3, claim);
    this.tellRenewals(claim, fetched);
    return { claim, recovered: Number(response[at + 1]), ...fetched };
  }

  /** The claim is renewed from now on, also if its first job blocks this thread. */
  private tellRenewals(claim: Claim, { jobs }: Fetched): void {
    const runningJobIds = jobs.map(({ id }) => id);
    this.renewals.granted(encodeRenewal(this.context, { claim, idle: false, runningJobIds }));
  }
}
