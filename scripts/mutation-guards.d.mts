export interface Guard {
  readonly guard: string;
  readonly cites: string;
  /** The mark behind which its text stands. */
  readonly at: string;
  /** Nothing if no file has the mark. */
  readonly file: string | undefined;
  readonly from: string;
  readonly to: string;
  readonly tests: readonly string[];
}

export function loadGuards(): Promise<Guard[]>;
export function fileByMark(): Map<string, string>;
export function without(guard: Pick<Guard, 'at' | 'from' | 'to'>, text: string): string | undefined;
export function outdatedAmong(guards: readonly Guard[]): Guard[];
