/** The library's own timers and clocks, in a test file that replaces the global ones before it loads the library. */
import { jest } from '@jest/globals';

const realMs = Date.now();

test.each([
  ['modern', {}],
  ['legacy', { legacyFakeTimers: true as const }],
])('timers and clocks are real if the library is loaded after %s fake timers', async (_, config) => {
  jest.useFakeTimers({ ...config, now: 0 } as Parameters<typeof jest.useFakeTimers>[0]);
  try {
    jest.resetModules();
    const { clearTimeout, monotonicMs, nextTurn, setTimeout, wallMs } = await import(
      '../../../src/core/ports/own-timers.js'
    );
    const startedMs = monotonicMs();
    const cleared = setTimeout(() => expect('cleared').toBe('never called'), 1);
    clearTimeout(cleared);
    await new Promise(resolve => setTimeout(resolve, 2));
    await nextTurn();
    expect(monotonicMs()).toBeGreaterThan(startedMs);
    // The wall clock may be changed while the test runs, but not by decades.
    expect(Math.abs(wallMs() - realMs)).toBeLessThan(365 * 86_400_000);
  } finally {
    jest.useRealTimers();
  }
});
