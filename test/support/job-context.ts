/** A running job without an engine, for tests of the context that handlers get. */
import type { JobContext } from '../../src/core/model/job.js';

export const entity = { type: 'account', id: '1' };

export function jobContext(native: unknown = 'native'): JobContext {
  return {
    entityType: entity.type,
    entityId: entity.id,
    fencingToken: '1',
    signal: new AbortController().signal,
    attempt: 1,
    contextValues: {},
    job: native,
    children: async () => [],
  };
}
