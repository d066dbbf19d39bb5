/** Results of the children of a job, on Redis. Neighbour: `lua/flow.lua` reads them where BullMQ keeps them. */
import type { Claim } from '../../core/model/claim.js';
import type { ChildRef } from '../../core/model/envelope.js';
import { type ChildResult, childResult } from '../../core/model/job.js';
import type { StoreContext } from './context.js';
import { checkStale, readJson } from './decode.js';
import { encode } from './lua/generated-wire.js';

export class ChildResults {
  constructor(private readonly context: StoreContext) {}

  /** @throws StaleClaimError */
  async of(claim: Claim, jobId: string, children: readonly ChildRef[]): Promise<readonly ChildResult[]> {
    const { keySpace, channel } = this.context;
    const keys = children.map(child => `${keySpace.of(child).base}:${child.jobId}`);
    const results: ChildResult[] = [];
    // Results may be large: a response is bounded in bytes and may lack the last ones.
    while (results.length < children.length) {
      const { base } = keySpace.of(claim.entity);
      const args = encode.children({ base, epoch: claim.epoch, jobId }, keys.slice(results.length));
      const read = await channel.call('children', args, response => {
        checkStale(response, claim);
        return children
          .slice(results.length, results.length + (response.length - 1) / 2)
          .map((child, index) => childResult(child, readOutcome(response, 1 + 2 * index)));
      });
      results.push(...read);
    }
    return results;
  }
}

/** Reads `'1', value`, `'0', reason` or `'', ''` from a position on. */
function readOutcome(response: readonly unknown[], at: number): ChildResult['outcome'] | undefined {
  const text = String(response[at + 1]);
  if (response[at] === '1') return { kind: 'completed', value: readJson(text) };
  return response[at] === '0' ? { kind: 'failed', reason: text } : undefined;
}
