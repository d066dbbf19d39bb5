export function composeSections(
  sections: { readonly always: readonly string[]; readonly rare: readonly string[] },
  rest: string,
): string;
