import { InvalidOptionError } from '../../../src/core/model/errors.js';
import { firstByPattern, nextByPattern } from '../../../src/store/schedule-times.js';

const at = (iso: string) => new Date(iso).getTime();

describe('the next time of a schedule with a pattern', () => {
  test.each([
    // Clocks that change by half an hour, or at a quarter to the hour.
    ['15 * * * *', 'Australia/Lord_Howe', '2025-04-05T14:15:00Z'],
    ['0 */6 * * *', 'Australia/Lord_Howe', '2025-04-05T13:30:00Z'],
    ['15 * * * *', 'Pacific/Chatham', '2025-04-05T13:00:00Z'],
    ['30 2 * * *', 'Europe/Vienna', '2025-03-29T02:00:00Z'],
    ['30 2 * * *', 'Europe/Vienna', '2025-10-25T02:00:00Z'],
  ])('exists for %s in %s after %s, across a clock change', (pattern, tz, after) => {
    const next = nextByPattern({ pattern, tz }, at(after)) ?? 0;
    expect(next).toBeGreaterThan(at(after));
    expect(next - at(after)).toBeLessThan(36 * 3_600_000);
  });

  test('is not searched forever: a pattern that never comes is refused', () => {
    expect(() => firstByPattern({ pattern: '0 0 30 2 *' }, 0)).toThrow(InvalidOptionError);
  });
});
