/** The start of each part of a store's contract: two pods on one store, and an entity that pod A owns. */
import { randomUUID } from 'node:crypto';
import type { Claim } from '../../src/core/model/claim.js';
import type { EntityRef } from '../../src/core/model/entity.js';
import type { FetchedJob, NewJob } from '../../src/core/model/job.js';
import type { EngineConfig } from '../../src/core/options/config.js';
import type { EntityStore } from '../../src/core/ports/store.js';
import { claimOf, done, numbers } from './settlements.js';

/** Several pods on one store, and control of its clock. */
export interface Cluster {
  pod(config: EngineConfig): Promise<EntityStore>;
  /** Every lease runs out, as the store sees it, while other pods are heard. */
  expireLeases(): Promise<void>;
  /** Every delayed job is due. */
  ripenDelayed(entity: EntityRef): Promise<void>;
  pause(entity: EntityRef, paused: boolean): Promise<void>;
  /** That many milliseconds go by. */
  timePasses(ms: number): Promise<void>;
  /** Adds a job outside the library. */
  addPast(entity: EntityRef, data: object): Promise<void>;
  /** The wait of the head of the queue ends. */
  endHold(entity: EntityRef): Promise<void>;
  /** The operator removes a job. */
  removeJob(entity: EntityRef, jobId: string): Promise<void>;
  failedIds(entity: EntityRef): Promise<string[]>;
  /** All that the store keeps for a drained entity, apart from the fence and its expiring events. */
  keysOf(entity: EntityRef): Promise<string[]>;
  /** When the next inspection of the entity is due, or undefined if it has none. */
  dueScore(entity: EntityRef): Promise<number | undefined>;
  /** The time until then, in ms. */
  dueInMs(entity: EntityRef): Promise<number | undefined>;
  /** The pods of the test have not been heard for a lease, others have; no other time goes by. */
  fallSilent(): Promise<void>;
  /** No pod at all has been heard for as long as counts as a silence; no other time goes by. */
  allFallSilent(): Promise<void>;
  /** The last silence of all pods ended so long ago, in ms. */
  heardFor(ms: number): Promise<void>;
  /** How long ago the last silence of all pods ended, in ms; 0 if it lasts. */
  heardForMs(): Promise<number>;
  close(): Promise<void>;
}

export const entity: EntityRef = { type: 'account', id: 'a:1 {x}' };

export type CreateCluster = (config: EngineConfig) => Promise<Cluster>;

export async function twoPods(
  createCluster: CreateCluster,
  config: EngineConfig,
): Promise<{ cluster: Cluster; a: EntityStore; b: EntityStore }> {
  const cluster = await createCluster(config);
  return { cluster, a: await cluster.pod(config), b: await cluster.pod(config) };
}

/**
 * Whether a pod is called for the entity. It would wait for a wake-up that does not come: so another one follows, for an entity
 * that the pod owns, and to which the other pod adds a job.
 */
export async function isCalled(pod: EntityStore, other: EntityStore, job: NewJob): Promise<boolean> {
  const last = { ...job, entity: { ...entity, id: `last ${randomUUID()}` } };
  const { claim, jobs } = claimOf(await pod.add(last, { epoch: 7, mayClaim: true, atOnce: 1 }));
  await pod.finish(claim, [done(jobs[0])], 0);
  await other.add(last, 'route-only');
  const called = await pod.wakeUps([]);
  expect(called).toContainEqual(last.entity);
  return called.some(({ id }) => id === entity.id);
}

/** The pod owns the entity. It has added a number of jobs, and fetched the first of them, or more. */
export async function ownedBy(
  pod: EntityStore,
  job: (n: number) => NewJob,
  added: number,
  fetched = 1,
): Promise<{ claim: Claim; first: FetchedJob; jobs: FetchedJob[] }> {
  const claimed = claimOf(await pod.add(job(0), { epoch: 1, mayClaim: true, atOnce: 1 }));
  const { claim } = claimed;
  for (let n = 1; n < added; n++) await pod.add(job(n), { epoch: 1, mayClaim: false, atOnce: 1 });
  const more = fetched > 1 ? (await pod.take(claim, fetched - 1)).jobs : [];
  const jobs = [...claimed.jobs, ...more];
  expect(numbers(jobs)).toEqual(Array.from({ length: fetched }, (_, n) => n));
  return { claim, first: done(jobs[0]).job, jobs };
}
