export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly found: string;
  readonly instead: string;
}

export const ENFORCED: readonly string[];
export const NOT_YET: readonly string[];
export function listOf(file: string): 'enforced' | 'not yet' | 'not prose' | 'in no list';
export function lint(file: string): Fault[];
export function proseFiles(): string[];
export function cleanEntries(files?: readonly string[]): string[];
