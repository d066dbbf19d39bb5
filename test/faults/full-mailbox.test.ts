/**
 * As many calls of one pod wait as a mailbox can hold: each gets its own result, even if the pod reads none of them for a while
 * (I10), and neither Redis nor the event loop of the pod hangs because of it (I11).
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { FAULT_MS, FaultScenario, inFull, now, PODS } from '../support/fault-scenario.js';
import { isFull } from '../support/test-length.js';
import { worstPing } from '../support/worst-ping.js';

const ENTITIES = 200;
/** Calls that are made in one turn of the event loop. */
const AT_ONCE = 250;
const WAIT = { timeoutMs: FAULT_MS };
const SMALL_WORK = { HANDLER_MS_MAX: '0' };

const turn = () => new Promise<void>(resolve => setImmediate(resolve));

/** Makes calls, each with a result of its own length. @returns how many calls ended, by code. */
async function manyCalls(scenario: FaultScenario, count: number): Promise<{ ended: Promise<Record<string, number>> }> {
  const ends: Record<string, number> = {};
  const calls: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    const resultBytes = n % 1000;
    const end = (code: string) => {
      ends[code] = (ends[code] ?? 0) + 1;
    };
    calls.push(
      scenario.call(`e${n % ENTITIES}`, { resultBytes }, WAIT).then(
        result => end(result === 'x'.repeat(resultBytes) ? 'result' : 'result of another call'),
        error => end(String(error.code ?? error)),
      ),
    );
    if (n % AT_ONCE === 0) await turn();
  }
  return { ended: Promise.all(calls).then(() => ends) };
}

/** Ends of handlers that their pods have recorded. */
const endsOf = (scenario: FaultScenario) => scenario.runs().filter(({ end }) => end !== undefined).length;

/** Blocks the event loop until the condition holds. */
function blockUntil(condition: () => boolean): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!condition()) Atomics.wait(cell, 0, 0, 250);
}

/** Awaits all calls, and measures how long Redis and the event loop of the caller hang meanwhile. */
async function measured(scenario: FaultScenario, ended: Promise<Record<string, number>>) {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const { result, worstMs } = await worstPing(scenario.url, () => ended);
  delay.disable();
  return { ends: result, 'worst PING, ms': Math.round(worstMs), 'longest turn, ms': Math.round(delay.max / 1e6) };
}

test(
  'a pod whose event loop is blocked while all its replies arrive loses none of them',
  () =>
    FaultScenario.run({ pods: PODS, settings: SMALL_WORK }, async scenario => {
      const count = isFull ? 20_000 : 12_000;
      await scenario.pauseAll(true);
      const { ended } = await manyCalls(scenario, count);
      await scenario.enqueue('e0');
      await scenario.pauseAll(false);
      const from = now();
      blockUntil(() => endsOf(scenario) >= count || now() - from > BigInt(FAULT_MS / 2) * 1_000_000n);
      const blockedMs = Number((now() - from) / 1_000_000n);
      const { ends, ...figures } = await measured(scenario, ended);
      scenario.report('event loop of the caller blocked', { calls: count, 'blocked for, ms': blockedMs, ...figures });
      expect(ends).toEqual({ result: count });
    }),
  FAULT_MS,
);

inFull(
  '40,000 calls of one pod wait at once, and each gets its own result',
  () =>
    FaultScenario.run({ pods: PODS, settings: SMALL_WORK }, async scenario => {
      const count = 40_000;
      await scenario.pauseAll(true);
      const { ended } = await manyCalls(scenario, count);
      await scenario.enqueue('e0');
      await scenario.pauseAll(false);
      const { ends, ...figures } = await measured(scenario, ended);
      scenario.report('calls at once', { calls: count, ...figures });
      expect(ends).toEqual({ result: count });
    }),
  FAULT_MS,
);
