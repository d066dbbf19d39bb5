/** Puts a job directly into the state of a memory server, without any pod. */
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
