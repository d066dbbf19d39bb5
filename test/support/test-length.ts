/** How long random walks and faults are: short in every run, at full length in CI (`npm run test:full`). */
export const isFull = process.env['TEST_LENGTH'] === 'full';

/** How many steps, runs or seconds: as the variable says, or else the default of this length. */
export function lengthOf(variable: string, short: number, full: number): number {
  return Number(process.env[variable] ?? (isFull ? full : short));
}
