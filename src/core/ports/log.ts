/** The log, as the core needs it. `nest/system.ts` brings Nest's logger. */
/** A log. Never given a payload or a secret. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
