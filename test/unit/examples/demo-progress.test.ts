/** The demo's progress bar, in a terminal and in a log. */
import { Progress } from '../../../examples/banking/demo/progress.js';

function watched(isTTY: boolean) {
  let at = 0;
  const written: string[] = [];
  const progress = new Progress('orders', 200, { isTTY, write: text => written.push(text) }, () => at);
  return {
    progress,
    written,
    /** How many orders are done at a time, in ms. */
    update: (ms: number, done: number) => {
      at = ms;
      progress.update(done);
    },
  };
}

test('in a log it is a line every 5 s with the percentage, the number done, and the time left at the recent pace', () => {
  const { progress, written, update } = watched(false);
  for (let second = 1; second <= 10; second++) update(second * 1000, second * 2);
  // From here on it is ten times as fast. Ten seconds later the slow start is forgotten.
  for (let second = 11; second <= 20; second++) update(second * 1000, 20 + (second - 10) * 16);
  progress.announce('pod-1 KILLED');
  update(20_500, 190);
  update(25_000, 200);
  progress.stop();
  expect(written.map(line => line.replace(/[█░]+/, ''))).toEqual([
    'orders    0 %  0/200 orders done\n',
    'orders    5 %  10/200 orders done, about 95 s left\n',
    'orders   10 %  20/200 orders done, about 90 s left\n',
    'orders   50 %  100/200 orders done, about 12 s left\n',
    'orders   90 %  180/200 orders done, about 2 s left\n',
    'pod-1 KILLED\n',
    'orders  100 %  200/200 orders done\n',
  ]);
  for (const control of ['\r', '\u001b']) expect(written.join('')).not.toContain(control);
});

test('in a terminal it is redrawn in place, and announcements stay above it', () => {
  const { progress, written, update } = watched(true);
  update(1000, 100);
  progress.announce('pod-1 KILLED');
  progress.stop();
  const screen = written.join('').split('\n');
  expect(screen.map(line => line.split('\r\u001b[K').at(-1))).toEqual([
    'pod-1 KILLED',
    `orders ${'█'.repeat(15)}${'░'.repeat(15)}  50 %  100/200 orders done, about 1 s left`,
    '',
  ]);
});
