/** The end of a walk over schedules: the promises of the protocol for a time without further actions. */
import type { OwnerModel } from './owner-model.js';
import { outcomeOf } from './schedule-actions.js';
import { liveIds, runIdOf, type SeenSchedules } from './schedule-checker.js';
import type { ScheduleWalk } from './schedule-walk.js';

/** The time within which all work must be done. */
const ROUNDS = 1000;

/** Everything is resumed and worked by a new pod until only schedules are left; then they are removed. */
export async function calm(walk: ScheduleWalk): Promise<void> {
  walk.note('all pods are gone, a new one comes');
  await walk.crashAll();
  await walk.startPod('z');
  const store = walk.anyStore;
  await store.control.pause(walk.entity, false);
  await workAll(walk, seen => {
    const runs = seen.schedules.map(runIdOf);
    return seen.waiting.length + seen.active.length === 0 && seen.delayed.every(({ jobId }) => runs.includes(jobId));
  });
  for (const id of walk.checker.put) {
    walk.note('removes', id);
    if (!(await store.schedules.remove(walk.entity, id))) walk.violate(`I5: schedule ${id} was not there`);
  }
  await workAll(walk, seen => liveIds(seen).length === 0);
  const [owner] = walk.owners;
  if (owner?.claim) await goIdle(walk, owner);
  if (owner?.claim) walk.violate(`I8: ${owner.podId} can't give up a drained entity`);
  // What a dead owner has left is due; the sweep finds it, and an inspection ends it.
  if (owner && !owner.claim) await walk.storeOf(owner).tryClaim(walk.entity, walk.nextEpoch());
  await walk.checkNothingLeft();
}

async function workAll(walk: ScheduleWalk, isDone: (seen: SeenSchedules) => boolean): Promise<void> {
  const { cluster } = walk.stage;
  const [owner] = walk.owners;
  if (!owner) throw new Error('no pod');
  for (let round = 0; round < ROUNDS; round++) {
    const seen = await walk.see();
    if (isDone(seen)) return;
    if (seen.status.blockedBy) await walk.anyStore.control.unblock(walk.entity, 'skip');
    else await cluster.endHold(walk.entity);
    if (seen.waiting.length + seen.active.length === 0) await cluster.ripenDelayed(walk.entity);
    await workOn(walk, owner, seen);
    walk.throwIfViolated();
  }
  walk.violate(`I7: after ${ROUNDS} rounds there is work left`);
  walk.throwIfViolated();
}

async function workOn(walk: ScheduleWalk, owner: OwnerModel, seen: SeenSchedules): Promise<void> {
  const answer = await walk.storeOf(owner).tryClaim(walk.entity, walk.nextEpoch());
  if (typeof answer === 'string') {
    walk.violate(`I7: there is work, and a look says "${answer}": ${JSON.stringify(seen)}`);
    return;
  }
  walk.claimed(owner, answer);
  for (let job = owner.ready.shift(); job; job = owner.ready.shift()) {
    const settlement = { job, outcome: outcomeOf(job, 'completed', 0) };
    const next = await walk.guarded(owner, 'finish', (store, claim) => store.finish(claim, [settlement], 1));
    if (next) owner.fetched(next);
  }
  await goIdle(walk, owner);
}

async function goIdle(walk: ScheduleWalk, owner: OwnerModel): Promise<void> {
  const isGivenUp = await walk.guarded(owner, 'release', (store, claim) => store.release(claim, 'idle'));
  if (isGivenUp) walk.lost(owner);
}
