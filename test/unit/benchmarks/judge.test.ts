/** The benchmark's judge finds a contender that breaks order, overlaps, loses or repeats jobs. */
import { compare } from '../../../benchmarks/bars.js';
import { lossesSince } from '../../../benchmarks/baseline.js';
import { judge, newRecord, type PodRecord } from '../../../benchmarks/records.js';
import type { Results, Row } from '../../../benchmarks/results.js';

/** When each job of one entity was called, accepted, started and ended. */
function recordOf(...jobs: readonly (readonly [number, number, number, number])[]): PodRecord {
  const record = newRecord(jobs.length);
  for (const [k, [called, accepted, started, ended]] of jobs.entries()) {
    record.called[k] = called;
    record.accepted[k] = accepted;
    record.started[k] = started;
    record.ended[k] = ended;
    record.times[k] = 1;
  }
  return record;
}

const FINE = { wrongTotal: 0, overlaps: 0, disorder: 0 };

describe("the benchmark's judge", () => {
  test('counts speed and latency', () => {
    const record = recordOf([0, 1, 2, 3], [0, 1, 4, 10]);
    expect(judge([record], 1)).toEqual({ ...FINE, jobsPerSecond: 200, p50Ms: 4, p99Ms: 4 });
  });

  test('counts two runs of an entity at once as an overlap, but not of two entities', () => {
    const record = recordOf([0, 1, 2, 5], [1, 2, 4, 6]);
    expect(judge([record], 1)).toMatchObject({ ...FINE, overlaps: 1 });
    expect(judge([record], 2)).toMatchObject(FINE);
  });

  test('counts a job as out of order if it was called after another was accepted and starts before it; concurrent calls may swap', () => {
    expect(judge([recordOf([0, 1, 5, 6], [2, 3, 3, 4])], 1)).toMatchObject({ ...FINE, disorder: 1 });
    expect(judge([recordOf([0, 3, 5, 6], [2, 3, 3, 4])], 1)).toMatchObject(FINE);
  });

  test('counts a job that is lost, and one that runs on two pods', () => {
    const sender = recordOf([0, 1, 2, 3], [1, 2, 4, 5], [2, 3, 6, 7]);
    sender.times[1] = 0;
    const other = newRecord(3);
    other.started[0] = 8;
    other.ended[0] = 9;
    other.times[0] = 1;
    expect(judge([sender, other], 1)).toMatchObject({ wrongTotal: 2 });
  });
});

describe('the bars of the benchmark', () => {
  const row = (contender: string, jobsPerSecond: number) =>
    ({ workload: 'hot', contender, jobsPerSecond: { median: jobsPerSecond } }) as unknown as Row;
  const results = (...rows: Row[]) => ({ ours: 'atomic-queues', rows }) as unknown as Results;

  test('show the best of a kind, and no bar for a missing measurement', () => {
    const held = compare(results(row('atomic-queues', 3000), row('groupmq at 1', 1000), row('groupmq at 8', 1500)));
    expect(held).toEqual([{ workload: 'hot', against: 'groupmq at 8', figure: 'jobsPerSecond', least: 2, ratio: 2 }]);
  });

  test('report a ratio that has fallen by more than a quarter as a loss, but not a missing measurement', () => {
    const now = results(row('atomic-queues', 1490), row('groupmq at 1', 1000), row('groupmq at 8', 993));
    const then = {
      'hot / groupmq at 1': 2,
      'hot / groupmq at 8': 2,
      'hot / groupmq at 64': 9,
      'cold / groupmq at 1': 9,
    };
    expect(lossesSince(then, now)).toEqual([{ workload: 'hot', peer: 'groupmq at 1', was: 2, least: 1.5, is: 1.49 }]);
  });
});
