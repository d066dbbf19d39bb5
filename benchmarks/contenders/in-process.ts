/** A chain of promises for each entity, in memory: no queue, and nothing survives a crash. The limit of what Node alone can do. */
import { type Contender, type ContenderKind, ONE_AT_A_TIME_IN_ORDER, type Payload, type Setup } from './contender.js';

function create(): Contender {
  const tails = new Map<string, Promise<void>>();
  let handle: Setup['handle'];
  return {
    async start(setup) {
      handle = setup.handle;
    },
    async enqueue(entity: string, payload: Payload) {
      const next = (tails.get(entity) ?? Promise.resolve()).then(() => handle(entity, payload));
      tails.set(entity, next);
    },
  };
}

export const inProcess: ContenderKind = {
  name: 'in one process, no queue',
  keeps: ONE_AT_A_TIME_IN_ORDER,
  fits: ({ pods = 1, networkMs = 0 }) => pods === 1 && networkMs === 0,
  create,
};
