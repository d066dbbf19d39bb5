export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly found: string;
  readonly instead: string;
}

export function lint(file: string): Fault[];
export function proseFiles(): string[];
