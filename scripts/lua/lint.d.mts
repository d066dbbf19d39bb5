export function lint(sources: ReadonlyMap<string, string>): string[];
