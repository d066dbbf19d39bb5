/** An entity as a store has it at one moment, jobs by the number that the walk gave them. */
import type { MemoryServer } from '../../../src/store/memory/server.js';
import type { StoredEntity, StoredJob } from '../../../src/store/memory/state.js';

export interface Snapshot {
  /** Until when: of a claim that rests as long as its pod is heard. */
  readonly owner: { readonly podId: string; readonly epoch: number; readonly untilMs: number } | undefined;
  readonly token: number;
  readonly wait: readonly number[];
  readonly active: readonly number[];
  /** How often each of those has been fetched. */
  readonly starts: readonly number[];
  readonly delayed: readonly number[];
  readonly failed: readonly number[];
  readonly paused: boolean;
  /** The head of the queue waits for its next attempt. */
  readonly hold: { readonly n: number; readonly untilMs: number } | undefined;
}

export const NOTHING: Snapshot = {
  owner: undefined,
  token: 0,
  wait: [],
  active: [],
  starts: [],
  delayed: [],
  failed: [],
  paused: false,
  hold: undefined,
};

const numbers = new WeakMap<StoredJob, number>();

export function numberOf(job: StoredJob): number {
  let n = numbers.get(job);
  if (n === undefined) {
    n = (JSON.parse(job.data) as { n: number }).n;
    numbers.set(job, n);
  }
  return n;
}

export function snapshotOfMemory(server: MemoryServer, word: string): Snapshot {
  const entity = server.entities.get(word);
  if (!entity) return NOTHING;
  const { hold } = entity;
  // Another job may have been given the id of one that was held.
  const held = entity.wait.find(({ id, attemptsMade }) => id === hold?.jobId && attemptsMade === hold.attemptsMade);
  return {
    owner: entity.owner && { ...entity.owner, untilMs: liveUntilMs(server, entity.owner) },
    token: entity.token,
    wait: entity.wait.map(numberOf),
    active: entity.active.map(numberOf),
    starts: entity.active.map(({ attempt }) => attempt),
    delayed: entity.delayed.map(({ job }) => numberOf(job)),
    failed: entity.failed.map(numberOf),
    paused: entity.paused,
    hold: hold && held && { n: numberOf(held), untilMs: hold.untilMs },
  };
}

function liveUntilMs(server: MemoryServer, { podId, untilMs, isDormant }: NonNullable<StoredEntity['owner']>): number {
  return isDormant ? Math.min(untilMs, server.alive.get(podId) ?? 0) : untilMs;
}

/** What a step of the store may have changed, without what time alone changes. */
export function isSame(a: Snapshot, b: Snapshot): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
