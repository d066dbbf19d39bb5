/** A schedule, as an application writes it. Types only. Neighbour: `schedule-checks.ts` refuses invalid ones. */

/** When a job is repeated: by an interval (`every`) or by a cron pattern (`pattern`). */
export interface Schedule {
  /** Name of the schedule within its entity, without ":". A schedule with the same id replaces it. @default required */
  readonly id: string;
  /** Interval, in ms. The first run is at once. Runs that fall due during another one are left out. @default none */
  readonly every?: number;
  /** Cron pattern, with or without seconds, such as `0 3 * * *`. @default none */
  readonly pattern?: string;
  /** Time zone of the pattern, such as `Europe/Vienna`. @default the process's */
  readonly tz?: string;
}
