export function lint(sources: ReadonlyMap<string, string>): string[];
export function syntaxFaultOf(lua: string): string | undefined;
