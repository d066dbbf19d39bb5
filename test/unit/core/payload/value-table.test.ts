/** The table of values in docs/payloads.md is the one that the tests run. */
import { readFileSync } from 'node:fs';
import { MAX_VALUES } from '../../../../src/core/model/bounds.js';
import { MAX_DEPTH } from '../../../../src/core/payload/json-values.js';
import { VALUE_TABLE } from '../../../support/value-table.js';

const rows = [...readFileSync('docs/payloads.md', 'utf8').matchAll(/^\| (.+?) +\| (carried|refused)\b.*\|$/gm)];
const told = rows.map(([, value, verdict]) => `${verdict}: ${value}`);

test('the docs have a row for each value that is tested, with its verdict, and no other', () => {
  const tested = VALUE_TABLE.map(({ docs, verdict }) => `${'carriedAs' in verdict ? 'carried' : 'refused'}: ${docs}`);
  expect(told).toEqual([...new Set(tested)]);
});

test('the docs name the bounds of a value', () => {
  expect(told.join()).toContain(`more than ${MAX_DEPTH} levels, or ${MAX_VALUES.toLocaleString('en')} values`);
});
