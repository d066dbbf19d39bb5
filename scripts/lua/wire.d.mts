export interface Wire {
  readonly fields: Readonly<Record<string, string>>;
  readonly records: Readonly<Record<string, string>>;
  readonly calls: Readonly<Record<string, string>>;
}

export function parametersOf(wire?: Wire): ReadonlyMap<string, readonly string[]>;
export function positionsInLua(wire?: Wire): string;
export function encodersInTypeScript(wire?: Wire): string;
