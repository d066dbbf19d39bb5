/**
 * The phases of a worker, and all transitions between them. `docs/protocol.md` has the same table, and a test compares the two.
 *
 * Owns: the table of transitions, and the error for any other.
 * Neighbours: `worker-state.ts` makes the transitions.
 */
import { AtomicQueuesError } from '../model/errors.js';

export type WorkerPhase = 'claiming' | 'working' | 'idle' | 'releasing' | 'lost' | 'ended';

interface Transition {
  readonly from: readonly WorkerPhase[];
  readonly to: WorkerPhase;
}

export const TRANSITIONS = {
  claimed: { from: ['claiming', 'working', 'releasing'], to: 'working' },
  startJob: { from: ['working', 'idle'], to: 'working' },
  becomeIdle: { from: ['working'], to: 'idle' },
  release: { from: ['working', 'idle'], to: 'releasing' },
  keepClaim: { from: ['releasing'], to: 'working' },
  claimAgain: { from: ['releasing'], to: 'claiming' },
  resync: { from: ['working', 'idle', 'releasing'], to: 'working' },
  lose: { from: ['working', 'idle'], to: 'lost' },
  abandon: { from: ['claiming', 'working', 'idle', 'releasing', 'lost'], to: 'lost' },
  end: { from: ['claiming', 'releasing', 'lost'], to: 'ended' },
} as const satisfies Readonly<Record<string, Transition>>;

export type TransitionName = keyof typeof TRANSITIONS;

/** A fault of this library. The worker that finds one resyncs. */
export class InvariantError extends AtomicQueuesError {
  constructor(what: string) {
    super('INVARIANT_BROKEN', `${what}. This is a fault of atomic-queues: please report it.`);
  }
}

export function mayMove(phase: WorkerPhase, transition: TransitionName): boolean {
  return (TRANSITIONS[transition].from as readonly WorkerPhase[]).includes(phase);
}

/** @throws InvariantError if there is no such transition. */
export function phaseAfter(phase: WorkerPhase, transition: TransitionName): WorkerPhase {
  // guards: transitions.phaseAfter
  if (!mayMove(phase, transition))
    throw new InvariantError(`A worker that is ${phase} made the transition "${transition}"`);
  return TRANSITIONS[transition].to;
}
