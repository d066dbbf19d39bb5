/**
 * `npm run bench:steps`: the CPU time that each step of the protocol costs Redis, by its own statistics of scripts. It runs 64 calls
 * of a step in one script, many times, and prints the median. That is finer than whole workloads.
 */
import { Redis } from 'ioredis';
import { startRedis } from '#dev-redis';
import type { Claim } from '../src/core/model/claim.js';
import type { FetchedJob, NewJob } from '../src/core/model/job.js';
import { resolveOptions } from '../src/core/options/resolve.js';
import type { IntakeHint } from '../src/core/ports/intake.js';
import { systemClock } from '../src/nest/system.js';
import { createRedisStore } from '../src/store/redis/redis-store.js';
import { median } from './records.js';

const ROUNDS = 300;
const CALLS = 64;
/** The number of entities with a backlog, whose next jobs are fetched in one round, each by one call. */
const AHEAD = 1 + ROUNDS;

const server = await startRedis({ alwaysPrivate: true });
const redis = new Redis(server.url);
const config = resolveOptions({ workerDefaults: { eventLoopBlockLimitMs: 0 } });
const log = { info() {}, warn: console.warn, error: console.error };
const store = await createRedisStore({
  redis: { url: server.url },
  keyPrefix: 'steps',
  commandTimeoutMs: 5000,
  config,
  clock: systemClock,
  log,
  podId: 'pod',
});
await store.start();

const costs = new Map<string, number[]>();

/** One round of a step: all calls in one tick, and so in one script. */
async function round<T>(step: string, calls: readonly (() => Promise<T>)[]): Promise<T[]> {
  await redis.config('RESETSTAT');
  const answers = await Promise.all(calls.map(call => call()));
  const [, usec = 'NaN'] = /cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(await redis.info('commandstats')) ?? [];
  costs.set(step, [...(costs.get(step) ?? []), Number(usec) / calls.length]);
  return answers;
}

const { jobOptions } = config.entityType('account');
const job = (id: string, n: number): NewJob => ({
  entity: { type: 'account', id },
  name: 'work',
  data: JSON.stringify({ n, amount: 100 }),
  options: jobOptions,
});
const finish = (claim: Claim, ended: FetchedJob | undefined, take: number) => () => {
  if (!ended) throw new Error('no job was fetched');
  return store.finish(claim, [{ job: ended, outcome: { kind: 'completed', value: '"done"' } }], take);
};
const hint = (mayClaim: boolean): IntakeHint => ({ epoch: 1, mayClaim, atOnce: 1 });
const ids = (what: string) => Array.from({ length: CALLS }, (_, i) => `${what}${i}`);

/** Adds the first job of each entity, which claims it. */
async function claimAll(step: string, names: readonly string[]) {
  const entered = await round(
    step,
    names.map(id => () => store.add(job(id, 0), hint(true))),
  );
  return entered.map(answer => {
    if (answer.route !== 'claimed') throw new Error(`expected a claim, got ${answer.route}`);
    return answer.claimed;
  });
}

for (let r = 0; r < ROUNDS; r++) await claimAll('add + claim + take: a cold entity', ids(`cold${r}-`));

const idle = await claimAll('', ids('idle'));
await round(
  '',
  idle.map(({ claim, jobs }) => finish(claim, jobs[0], 1)),
);
for (let r = 0; r < ROUNDS; r++) {
  const entered = await round(
    'add + take: an idle worker of this pod',
    idle.map(
      ({ claim }) =>
        () =>
          store.add(job(claim.entity.id, r), hint(false)),
    ),
  );
  await round(
    'finish, and nothing waits',
    idle.map(({ claim }, i) => {
      const answer = entered[i];
      return finish(claim, answer?.route === 'local' ? answer.fetched.jobs[0] : undefined, 1);
    }),
  );
}

const busy = await claimAll('', ids('busy'));
for (let r = 0; r < AHEAD; r++) {
  await round(
    'add: a busy worker of this pod',
    busy.map(
      ({ claim }) =>
        () =>
          store.add(job(claim.entity.id, r), hint(false)),
    ),
  );
}
let running = busy.map(({ jobs }) => jobs[0]);
for (let r = 0; r < ROUNDS; r++) {
  const fetched = await round(
    'finish + take: the next of a backlog',
    busy.map(({ claim }, i) => finish(claim, running[i], 1)),
  );
  running = fetched.map(({ jobs }) => jobs[0]);
}

costs.delete('');
console.table([...costs].map(([step, us]) => ({ step, 'us of Redis, a call': median(us).toFixed(1) })));
await store.close();
redis.disconnect();
await server.stop();
