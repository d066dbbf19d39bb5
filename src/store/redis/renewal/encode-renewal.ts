/** One claim as the renewal script reads it. Neighbour: `renewal-connection.ts` has the positions. */
import type { Renewal } from '../../../core/ports/claims.js';
import type { StoreContext } from '../context.js';
import type { RenewalArguments } from './renewal-connection.js';

export function encodeRenewal(
  { keySpace, config }: Pick<StoreContext, 'keySpace' | 'config'>,
  { claim, idle, runningJobIds = [], longRuns = [] }: Renewal,
): RenewalArguments {
  const { base, type, id } = keySpace.of(claim.entity);
  const { lockDurationMs } = config.entityType(claim.entity.type);
  const runs =
    longRuns.length === 0 ? '' : JSON.stringify(longRuns.map(({ jobId, startedAtMs }) => [jobId, startedAtMs]));
  return [base, type, id, claim.epoch, idle ? 1 : 0, lockDurationMs, runs, runningJobIds.length, ...runningJobIds];
}
