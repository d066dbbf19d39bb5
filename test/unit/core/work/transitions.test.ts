/** The phases of a worker: a transition outside the table is refused. `house.test.ts` compares the table with the document. */
import {
  InvariantError,
  phaseAfter,
  TRANSITIONS,
  type TransitionName,
  type WorkerPhase,
} from '../../../../src/core/work/transitions.js';

const PHASES: readonly WorkerPhase[] = ['claiming', 'working', 'idle', 'releasing', 'lost', 'ended'];
const all = Object.entries(TRANSITIONS).flatMap(([name, { from, to }]) =>
  PHASES.map(phase => ({
    name: name as TransitionName,
    phase,
    to,
    isAllowed: (from as readonly WorkerPhase[]).includes(phase),
  })),
);

test.each(all.filter(({ isAllowed }) => isAllowed))(
  'a worker that is $phase becomes $to by "$name"',
  ({ name, phase, to }) => {
    expect(phaseAfter(phase, name)).toBe(to);
  },
);

test.each(all.filter(({ isAllowed }) => !isAllowed))(
  'a worker that is $phase never makes the transition "$name"',
  ({ name, phase }) => {
    expect(() => phaseAfter(phase, name)).toThrow(InvariantError);
  },
);

test('a worker that has ended stays ended, and every phase but the last can be left', () => {
  const left = new Set(all.filter(({ isAllowed }) => isAllowed).map(({ phase }) => phase));
  expect(PHASES.filter(phase => !left.has(phase))).toEqual(['ended']);
});
