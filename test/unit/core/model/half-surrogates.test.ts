/** Halves of surrogate pairs: names with one are refused, and values with one are made well-formed. */

import { checkSchedule } from '../../../../src/core/enqueue/schedule-checks.js';
import { entityRef } from '../../../../src/core/model/entity.js';
import { writeEnvelope } from '../../../../src/core/model/envelope.js';
import { wellFormedJson } from '../../../../src/core/model/well-formed.js';
import { checkJobOptions } from '../../../../src/core/options/job-options.js';
import { Propagation } from '../../../../src/core/payload/caller-context.js';
import { MemoryPods } from '../../../support/memory-pods.js';

const HALF = 'Anna 😀'.slice(0, 6);

test('I10: an entity or entity type with half a surrogate pair is refused', () => {
  expect(() => entityRef('account', HALF)).toThrow(expect.objectContaining({ code: 'INVALID_ENTITY' }));
  expect(() => entityRef(HALF, '1')).toThrow(expect.objectContaining({ code: 'INVALID_ENTITY' }));
  expect(entityRef('account', 'Anna 😀')).toEqual({ type: 'account', id: 'Anna 😀' });
});

test('I10: a job name with half a surrogate pair is refused', async () => {
  const cluster = new MemoryPods();
  const pod = await cluster.pod('a');
  const request = { entityType: 'account', entityId: '1', name: HALF, data: {} };
  await expect(pod.engine.enqueue(request)).rejects.toMatchObject({ code: 'INVALID_COMMAND' });
  await cluster.close();
});

test.each([{ jobId: HALF }, { deduplication: { id: HALF } }])('I10: the option %p is refused', options => {
  expect(() => checkJobOptions(options, 'It')).toThrow(/half a surrogate pair/);
});

test('I10: a schedule id with half a surrogate pair is refused', () => {
  expect(() => checkSchedule({ id: HALF, every: 1000 }, {}, 'It')).toThrow(/half a surrogate pair/);
});

test('a context value with half a surrogate pair arrives with U+FFFD in its place', () => {
  const context = { keys: ['user'], get: () => ({ user: HALF }), run: <T>(_: unknown, run: () => T) => run() };
  expect(new Propagation(context, undefined).capture()).toEqual({ ctx: { user: 'Anna \ufffd' } });
});

test('an envelope has no half surrogate pair, not even in its keys; similar text stays', () => {
  const text = writeEnvelope({ [HALF]: [HALF, '\\ud83d', '\\\\ud83d', '😀'] });
  expect(text.isWellFormed()).toBe(true);
  expect(JSON.parse(text)).toEqual({ 'Anna \ufffd': ['Anna \ufffd', '\\ud83d', '\\\\ud83d', '😀'] });
  expect(wellFormedJson('"\\ud83d\\n\\\\\\ude00"')).toBe('"\\ufffd\\n\\\\\\ufffd"');
});
