/** Schedules as a user writes them. Types only. Neighbour: `schedule-checks.ts` refuses what can't be one. */

/** When a job comes again: by an interval, or by a cron pattern. */
export interface Schedule {
  /** Names the schedule within its entity: one with the same id takes its place. Without ":". */
  readonly id: string;
  /** In ms. The first run is at once, those after it that far apart; none that fell due while the one before ran is made up for. */
  readonly every?: number;
  /** A cron pattern, with seconds or without, such as `0 3 * * *`. */
  readonly pattern?: string;
  /** The time zone of the pattern, such as `Europe/Vienna`. Default: that of the process. */
  readonly tz?: string;
}
