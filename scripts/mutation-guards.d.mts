export interface Guard {
  readonly guard: string;
  readonly cites: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly tests: readonly string[];
}

export function loadGuards(): Promise<Guard[]>;
export function outdatedAmong(guards: readonly Guard[]): Guard[];
