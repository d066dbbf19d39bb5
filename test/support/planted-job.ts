/** A job put straight into the books of a memory server, behind the back of every pod. */
import type { StoredJob } from '../../src/store/memory/state.js';

export function plantedJob(id: string, data: string): StoredJob {
  return {
    id,
    name: 'withdraw',
    data,
    options: {},
    envelope: {},
    enqueuedAtMs: 0,
    attempt: 0,
    attemptsMade: 0,
    stalled: 0,
    stacks: [],
    mustFail: undefined,
  };
}
