/** A promise that was not awaited, in a payload or a result, and rejects later: the process continues, and the job has completed. */
import { runProgram } from '../support/run-program.js';

test('a rejection of a promise in a refused value does not end the process', async () => {
  expect(await runProgram('unawaited-promises')).toEqual({
    codes: [...Array(2).fill('RESULT_UNAVAILABLE'), ...Array(3).fill('UNSERIALIZABLE_DATA')],
    failed: 0,
  });
});
