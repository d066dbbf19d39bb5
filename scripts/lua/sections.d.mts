export function composeSections(
  sections: { readonly always: readonly string[]; readonly rare: readonly string[] },
  rest: string,
): string;
export function countLocals(lua: string): number;
