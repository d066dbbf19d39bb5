/** Names and errors of users in the log: one bounded line each, and a bounded number of lines. */
import { Logger } from '@nestjs/common';
import { BatchFailure } from '../../../../src/core/model/job-errors.js';
import { Admission } from '../../../../src/core/pod/admission.js';
import { nestLog } from '../../../../src/nest/system.js';
import { ManualClock } from '../../../support/clock.js';
import { RecordingLog } from '../../../support/log.js';
import { MemoryPods } from '../../../support/memory-pods.js';
import { plantedJob } from '../../../support/planted-job.js';

test('each message is one bounded line', () => {
  const lines: string[] = [];
  const write = (text: string) => lines.push(text);
  Logger.overrideLogger({ log: write, warn: write, error: write });
  try {
    const log = nestLog();
    for (const level of ['info', 'warn', 'error'] as const) log[level](`failed: a\nFAKE [Nest] ok ${'x'.repeat(1e6)}`);
  } finally {
    Logger.overrideLogger(false);
  }
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    expect(line.length).toBeLessThanOrEqual(2048);
    expect(line).toMatch(/^failed: a\\nFAKE/);
  }
});

test('names that this pod does not know are quoted, and reported 256 times at most', () => {
  const log = new RecordingLog();
  const admission = new Admission(new ManualClock(), log);
  for (let n = 0; n < 1000; n++) admission.defer({ type: 'account', id: `${n}` }, `handler for job ${n}`, 5);
  expect(log.lines).toHaveLength(256);
  expect(log.lines.at(-2)).not.toContain('not logged');
  expect(log.lines.at(-1)).toContain('Further missing handlers and codecs of this pod are not logged.');
});

test('the name of a job added by another library is short and escaped in log lines', async () => {
  const cluster = new MemoryPods();
  try {
    const a = await cluster.pod('a', {}, ['pay'], { many: { max: 2 } });
    const name = `re\nfund${'x'.repeat(5000)}`;
    await a.addNamed('pay', '1', 0);
    const entity = cluster.stored();
    entity.wait.push({ ...plantedJob('planted', '{"n":1}'), name });
    cluster.server.inspections.inspectNow(entity);
    await cluster.clock.advance(2000);
    const line = a.log.lines.find(text => text.includes('No handler')) ?? '';
    expect(line).toContain('"re\\nfundxxx');
    expect(line.length).toBeLessThan(500);
  } finally {
    await cluster.close();
  }
});

test('a BatchFailure is reported with as much of its first error as is readable', () => {
  expect(new BatchFailure([{ job: {}, error: new Error('x'.repeat(1e6)) }]).message.length).toBeLessThan(5000);
});
