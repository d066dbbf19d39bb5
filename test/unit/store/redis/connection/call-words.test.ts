/** How errors name the steps of the script: those that users cause have words. */
import { parametersOf } from '../../../../../scripts/lua/wire.mjs';
import { callWord } from '../../../../../src/store/redis/connection/call-words.js';

/** Steps that the engine takes by itself; its log lines name them. */
const OF_ENGINE = [
  'announce',
  'areHosted',
  'backlogs',
  'defer',
  'endBeforeResync',
  'find',
  'finish',
  'finishAll',
  'giveBack',
  'leftovers',
  'release',
  'resync',
  'spawned',
  'take',
  'tell',
  'tryClaim',
  'unread',
  'withdraw',
];

test('every step has words, or is one of the engine', () => {
  const unnamed = [...parametersOf().keys()].filter(op => callWord(op) === `the call "${op}"`);
  expect(unnamed.sort()).toEqual(OF_ENGINE);
});
