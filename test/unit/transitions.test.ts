/** The phases of a worker: the table in the document is the code, and what is not in it is refused. */
import { readFileSync } from 'node:fs';
import {
  InvariantError,
  phaseAfter,
  TRANSITIONS,
  type TransitionName,
  type WorkerPhase,
} from '../../src/core/work/transitions.js';

const PHASES: readonly WorkerPhase[] = ['claiming', 'working', 'idle', 'releasing', 'lost', 'ended'];
const all = Object.entries(TRANSITIONS).flatMap(([name, { from, to }]) =>
  PHASES.map(phase => ({
    name: name as TransitionName,
    phase,
    to,
    isAllowed: (from as readonly WorkerPhase[]).includes(phase),
  })),
);

test('the table of transitions in docs/protocol.md is that of the code', () => {
  const rows = readFileSync('docs/protocol.md', 'utf8').matchAll(
    /^\| `(\w+)` +\| ([a-z, ]+?) +\| ([a-z]+) +\| .+ \|$/gm,
  );
  const told = [...rows].map(([, name, from, to]) => ({ name, from: from?.split(', '), to }));
  expect(told).toEqual(Object.entries(TRANSITIONS).map(([name, { from, to }]) => ({ name, from, to })));
});

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

test('a worker that has ended stays so, and every phase but the last can be left', () => {
  const left = new Set(all.filter(({ isAllowed }) => isAllowed).map(({ phase }) => phase));
  expect(PHASES.filter(phase => !left.has(phase))).toEqual(['ended']);
});
