/** Fields of a job's hash that other programs may have written, as this library reads them. */
import { readEnvelope, tryEnvelope } from '../../../../../src/core/model/envelope.js';
import { readCount, readOptions, shownNumber } from '../../../../../src/store/redis/bullmq/job-fields.js';

test.each(['', 'null', '[]', '5', '"x"', '{', 'x'])('options that are %j are ignored and reported as a fault', text => {
  expect(readOptions(text)).toEqual({ value: {}, fault: 'is no JSON object' });
});

test.each([
  ['attempts', '"x"'],
  ['attempts', '{}'],
  ['removeOnFail', '"x"'],
  ['removeOnFail', '{"age":"x"}'],
  ['removeOnComplete', '{"count":[]}'],
  ['stackTraceLimit', 'true'],
  ['repeat', '5'],
])('the option %s with the value %s is a fault, and all other options are ignored', (name, value) => {
  const fault = `has an invalid "${name}"`;
  expect(readOptions(`{"attempts":3,"${name}":${value}}`)).toEqual({ value: {}, fault });
});

test('valid options are read, and an option that is null is left out', () => {
  const options = { attempts: 3, removeOnFail: { age: 5, count: 1 }, removeOnComplete: true, backoff: 'x', own: [] };
  expect(readOptions(JSON.stringify({ ...options, stackTraceLimit: null }))).toEqual({ value: options });
});

test('counts are whole numbers, and any other value is shown as 0', () => {
  expect(readCount('12')).toEqual({ value: 12 });
  for (const text of ['', '-1', '1.5', 'x', '1e5', '9'.repeat(20)]) {
    expect(readCount(text)).toEqual({ value: 0, fault: 'is no whole number' });
  }
  expect(['5', 'x', '', 'inf', undefined].map(shownNumber)).toEqual([5, 0, 0, 0, 0]);
});

test('an envelope with an unreadable codec or unreadable children is ignored', () => {
  const child = { type: 'a', id: '1', jobId: '2', name: 'n', failsParent: true };
  expect(tryEnvelope(JSON.stringify({ codec: 'x', children: [child], ctx: 5 }))).toBeDefined();
  const damaged = ['{', 'null', '[]', '5', '{"codec":5}', '{"children":5}', '{"children":[null]}', '{"children":[{}]}'];
  for (const text of damaged) expect([text, tryEnvelope(text), readEnvelope(text)]).toEqual([text, undefined, {}]);
});
