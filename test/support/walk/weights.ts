/** How often each action happens in a walk. */
import type { Random } from '../random.js';
import type { Trap } from './wire.js';

export type ActionName = keyof typeof WEIGHTS;

const WEIGHTS = {
  enqueue: 28,
  enqueueMany: 5,
  endHandler: 24,
  passSomeTime: 16,
  passMuchTime: 3,
  trap: 8,
  slow: 2,
  hang: 1.5,
  sever: 2,
  partition: 1,
  mend: 2,
  freeze: 2,
  thaw: 4,
  crash: 0.7,
  startPod: 1.2,
  drain: 0.5,
  pause: 0.7,
  resume: 2,
  unblock: 2,
  jumpWall: 1,
  deleteClaim: 0.5,
  removeJob: 0.5,
};

const FAULTS: readonly ActionName[] = ['trap', 'slow', 'hang', 'sever', 'partition', 'freeze', 'crash', 'drain'];
const BY_HAND: readonly ActionName[] = ['pause', 'jumpWall', 'deleteClaim', 'removeJob'];

export const METHODS = ['add', 'tryClaim', 'resync', 'take', 'finish', 'finish', 'release', 'renew', 'due'];
export const KINDS: readonly Trap['kind'][] = ['drop', 'lose', 'late', 'hold', 'refuse'];

/** How often each action happens in this walk: some are calm, some are storms, some without an operator. */
export function weightsOf(random: Random): Record<ActionName, number> {
  const weights = { ...WEIGHTS };
  const storm = random.pick([0, 0.3, 1, 1, 3]);
  const byHand = random.pick([0, 0, 1, 3]);
  for (const name of FAULTS) weights[name] *= storm;
  for (const name of BY_HAND) weights[name] *= byHand;
  if (random.chance(0.3)) weights.endHandler *= 4;
  return weights;
}
