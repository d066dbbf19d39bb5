/** The table of values in docs/payloads.md has the same rows as the tests. */
import { readFileSync } from 'node:fs';
import { MAX_VALUES } from '../../../../src/core/model/bounds.js';
import { MAX_DEPTH } from '../../../../src/core/payload/json-values.js';
import { VALUE_TABLE } from '../../../support/value-table.js';

const rows = [...readFileSync('docs/payloads.md', 'utf8').matchAll(/^\| (.+?) +\| (carried|refused)\b.*\|$/gm)];
const told = rows.map(([, value, verdict]) => `${verdict}: ${value}`);

test('docs/payloads.md has a row for each tested value, with its verdict, and no other row', () => {
  const tested = VALUE_TABLE.map(({ docs, verdict }) => `${'carriedAs' in verdict ? 'carried' : 'refused'}: ${docs}`);
  expect(told).toEqual([...new Set(tested)]);
});

test('docs/payloads.md names the bounds of a value', () => {
  expect(told.join()).toContain(`more than ${MAX_DEPTH} levels, or ${MAX_VALUES.toLocaleString('en')} values`);
});
