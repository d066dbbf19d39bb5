/** The end of a walk: all faults end, and the promises of the protocol are checked. */
import { blockerOf, heldForMs } from '../../../src/store/memory/queue.js';
import { LEASE_MS, MAX_BACKOFF_MS, type MemoryCluster } from './memory-cluster.js';
import type { WalkPod } from './walk-pod.js';
import { LATEST_MS } from './wire.js';

/** A lease and a sweep, with the pauses between tries; see I7. */
const LOOKED_AT_MS = LEASE_MS + 1300 + 1500;
const MAX_DELAY_MS = 3000;
/** The search for jobs that were added outside this library. */
const MAX_TIMER_MS = 120_000;
/** Timers of an idle pod: heartbeat, sweep, search, leftovers of operators, slow runs, and the report of its types. */
const TIMERS_OF_AN_IDLE_POD = 6;

export async function calm(cluster: MemoryCluster): Promise<void> {
  cluster.note('* all is healed');
  await heal(cluster);
  for (const [word, entity] of [...cluster.server.entities]) cluster.resume(word, entity);
  await cluster.time.advance(LATEST_MS + LEASE_MS);
  // A handler that was told that its entity is lost stops: until then its pod can't work the entity.
  for (const { signal, ended } of [...cluster.running]) if (signal.aborted) ended.open();
  await cluster.time.advance(LOOKED_AT_MS);
  checkWorked(cluster);
  cluster.check();
  await finish(cluster);
  checkAllRan(cluster);
  await cluster.time.advance(cluster.idleMs + LEASE_MS);
  checkNothingLeft(cluster);
  cluster.check();
  await close(cluster);
  cluster.check();
}

async function heal(cluster: MemoryCluster): Promise<void> {
  for (const pod of cluster.pods) {
    if (pod.clock.frozen) await pod.thaw(true, () => cluster.settle());
    pod.mend();
    await cluster.settle();
  }
  if (cluster.live.length === 0) await cluster.start();
}

/** I7, I3: each entity with work is worked, and each pod that has lost its claim was told so. */
function checkWorked(cluster: MemoryCluster): void {
  const { server, time, violate } = cluster;
  for (const [word, entity] of server.entities) {
    const { wait, active, owner } = entity;
    if (wait.length + active.length === 0 || heldForMs(entity, server.now()) !== undefined) continue;
    const pod = cluster.pods.find(({ id }) => id === owner?.podId);
    const isRunning = cluster.running.some(running => running.word === word && running.pod === pod);
    const isWorked = pod && owner && owner.untilMs > time.nowMs && (pod.state === 'live' || isRunning);
    if (!isWorked) violate(`I7: ${word} has work and nobody works it; its owner is ${owner?.podId}`);
    else if (!isRunning) violate(`I7: ${word} has work, ${pod.id} owns it and runs nothing`);
  }
  for (const { word, token, n, podId, signal } of cluster.running) {
    const entity = server.entities.get(word);
    const isOwnPods = entity?.owner?.podId === podId;
    // The claim was deleted by hand, and granted again to a pending call of this pod: it resyncs when its handler ends.
    if (isOwnPods && cluster.checkers.get(word)?.stints.get(token)?.isCut) continue;
    const isOwner = isOwnPods && entity.token === token;
    if (isOwner === signal.aborted)
      violate(`I3: the handler of ${n} of ${word} on ${podId} was ${isOwner ? 'stopped' : 'not told that it is lost'}`);
  }
}

async function finish(cluster: MemoryCluster): Promise<void> {
  cluster.instant = true;
  for (const handler of [...cluster.running]) handler.ended.open();
  await cluster.settle();
  await cluster.time.advance(MAX_DELAY_MS + MAX_BACKOFF_MS + LOOKED_AT_MS + LEASE_MS);
  // A job whose pods have died too often blocks, too: until none does.
  for (let blocked = blockedIn(cluster); blocked.length > 0; blocked = blockedIn(cluster)) {
    for (const entity of blocked) cluster.unblock(entity, 'skip');
    await cluster.time.advance(LOOKED_AT_MS);
  }
}

function blockedIn({ server }: MemoryCluster) {
  return [...server.entities.values()].filter(entity => blockerOf(entity, server.now()));
}

/** I5: no job is lost, and no refused one is in the queue. */
function checkAllRan({ fates, checkers, violate }: MemoryCluster): void {
  const recorded = new Set<number>();
  const taken = new Set<number>();
  for (const checker of checkers.values()) {
    for (const n of checker.recorded) recorded.add(n);
    for (const n of [...checker.order, ...checker.duplicates]) taken.add(n);
  }
  for (const [n, fate] of fates) {
    const isDuplicate = [...checkers.values()].some(checker => checker.duplicates.has(n));
    if (fate === 'added' && !recorded.has(n) && !isDuplicate)
      violate(`I5: job ${n} was acknowledged, and has not ended`);
    if (fate === 'not added' && taken.has(n)) violate(`I10: job ${n} was refused, and was added`);
  }
  for (const n of taken) {
    const isDuplicate = [...checkers.values()].some(checker => checker.duplicates.has(n));
    if (!recorded.has(n) && !isDuplicate) violate(`I5: job ${n} was taken, and has not ended`);
  }
}

/** I8: a drained entity leaves only what an operator needs to see. */
function checkNothingLeft({ server, pods, running, violate }: MemoryCluster): void {
  for (const [word, entity] of server.entities) {
    if (entity.failed.length === 0) violate(`I8: ${word} is drained, and is still there`);
    if (entity.owner) violate(`I8: ${word} is drained, and is owned by ${entity.owner.podId}`);
  }
  const due = [...server.due.keys()].filter(word => !server.entities.get(word)?.failed.length);
  if (due.length > 0) violate(`I8: ${due} are drained, and due`);
  if (running.length > 0) violate('a handler still runs');
  for (const pod of pods.filter(({ state }) => state === 'live')) checkTimers(pod, TIMERS_OF_AN_IDLE_POD, violate);
}

function checkTimers(pod: WalkPod, expected: number, violate: (what: string) => void): void {
  if (pod.clock.pending !== expected) violate(`I8: ${pod.id} has ${pod.clock.pending} timers; expected: ${expected}`);
}

async function close(cluster: MemoryCluster): Promise<void> {
  let closed = 0;
  for (const pod of cluster.pods) {
    pod.state = 'draining';
    void pod.engine.close().then(() => closed++);
  }
  await cluster.settle();
  await cluster.time.advance(MAX_TIMER_MS);
  if (closed < cluster.pods.length) cluster.violate('a pod without work does not close');
  for (const pod of cluster.pods) checkTimers(pod, 0, cluster.violate);
  if (cluster.time.pending > 0) cluster.violate(`${cluster.time.pending} timers are left`);
}
