/** The first frames of a failure in the log: on its line, bounded, and of the application only. */

import { Logger } from '@nestjs/common';
import { MAX_LINE_LENGTH } from '../../../../src/core/model/error-text.js';
import { framesOf as framesOfFailure } from '../../../../src/core/model/stack-frames.js';
import { nestLog } from '../../../../src/nest/system.js';
import { MemoryPods } from '../../../support/memory-pods.js';

const framesOf = (stack: string, max: number) => framesOfFailure({ reason: 'no money', stack }, max);

const STACK = `Error: no money
    at Account.withdraw (file:///srv/app/dist/bank/account.js:12:9)
    at new Ledger (C:\\app\\dist\\bank\\ledger.js:3:1)
    at Client._read (/srv/app/node_modules/pg/lib/client.js:1:2)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at Array.map (<anonymous>)
    at async /srv/app/dist/main.js:40:7`;

test('frames are only from the application, with the end of their path', () => {
  expect(framesOf(STACK, 3)).toBe(
    ' (at Account.withdraw dist/bank/account.js:12:9, new Ledger dist/bank/ledger.js:3:1, app/dist/main.js:40:7)',
  );
  expect(framesOf(STACK, 1)).toBe(' (at Account.withdraw dist/bank/account.js:12:9)');
  expect(framesOf(STACK, 0)).toBe('');
});

test('an error without a frame of the application adds none', () => {
  expect(framesOf('just a text', 3)).toBe('');
  expect(framesOf('Error: x\n    at TCP.onread (node:net:1:1)\n    at a (/x/node_modules/b/c.js:1:1)', 3)).toBe('');
});

test('frames are bounded in number and in length', () => {
  const long = `Error: x\n${`    at ${'f'.repeat(500)} (/${'d'.repeat(500)}/a.js:1:1)\n`.repeat(200)}`;
  expect(framesOf(long, 50).length).toBeLessThan(50 * 170);
  expect(framesOf(long, 1).length).toBeLessThan(180);
});

describe('a failed attempt', () => {
  let cluster: MemoryPods;
  beforeEach(() => {
    cluster = new MemoryPods();
  });
  afterEach(() => cluster.close());

  async function lineOf(message: string, options = {}) {
    const a = await cluster.pod('a', options);
    cluster.returns = function withdrawAll() {
      throw new Error(message);
    };
    await a.add('1', 1);
    return a.log.lines.find(line => line.includes('failed: ')) ?? '';
  }

  test('is logged with three frames of its stack', async () => {
    expect(await lineOf('no money')).toMatch(
      /^warn Job 1 \("withdraw"\) of account:1 failed: no money \(at [^,]*withdrawAll[^,]* core\/model\/stack-frames\.test\.ts:\d+:\d+, [^,]+, [^,]+\)$/,
    );
  });

  test('is logged with its message only if failureStackFrames is 0', async () => {
    expect(await lineOf('no money', { failureStackFrames: 0 })).toMatch(/failed: no money$/);
  });

  test('is logged in one line with its frames, even if its message has several lines', async () => {
    const line = await lineOf(`a\n    at fake (x.js:1:1)\r${'x'.repeat(3000)}`);
    expect(line.length).toBeLessThan(MAX_LINE_LENGTH);
    expect(line).not.toMatch(/[\r\n]/);
    expect(line).toContain('withdrawAll');
    expect(line).not.toContain('(at fake');
    const lines: string[] = [];
    Logger.overrideLogger({ log() {}, error() {}, warn: (text: string) => lines.push(text) });
    try {
      nestLog().warn(line);
    } finally {
      Logger.overrideLogger(false);
    }
    expect(lines).toEqual([line]);
  });
});
