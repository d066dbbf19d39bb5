/** What the children of a job have brought, on Redis, results as they are stored. Neighbour: `lua/flow.lua` reads it where BullMQ keeps it. */

import type { Claim } from '../../core/model/claim.js';
import type { ChildRef } from '../../core/model/envelope.js';
import { type ChildResult, childResult } from '../../core/model/job.js';
import type { Channel } from './connection/channel.js';
import { checkStale, readJson } from './decode.js';
import type { KeySpace } from './keys.js';

export interface ChildResultsParts {
  readonly keySpace: KeySpace;
  readonly channel: Channel;
}

export class ChildResults {
  constructor(private readonly parts: () => ChildResultsParts) {}

  /** @throws StaleClaimError */
  async of(claim: Claim, jobId: string, children: readonly ChildRef[]): Promise<readonly ChildResult[]> {
    const { keySpace, channel } = this.parts();
    const keys = children.map(child => `${keySpace.of(child).base}:${child.jobId}`);
    const results: ChildResult[] = [];
    // Results may be large: an answer ends where it has enough.
    while (results.length < children.length) {
      const args = [keySpace.of(claim.entity).base, claim.epoch, jobId, ...keys.slice(results.length)];
      const read = await channel.call('children', args, answer => {
        checkStale(answer, claim);
        return children
          .slice(results.length, results.length + (answer.length - 1) / 2)
          .map((child, index) => childResult(child, readOutcome(answer, 1 + 2 * index)));
      });
      results.push(...read);
    }
    return results;
  }
}

/** Reads `'1', value`, `'0', reason` or `'', ''` from a position on. */
function readOutcome(answer: readonly unknown[], at: number): ChildResult['outcome'] | undefined {
  const text = String(answer[at + 1]);
  if (answer[at] === '1') return { kind: 'completed', value: readJson(text) };
  return answer[at] === '0' ? { kind: 'failed', reason: text } : undefined;
}
