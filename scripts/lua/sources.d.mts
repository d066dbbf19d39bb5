export function readSources(folder?: string): Map<string, string>;
export function composeScripts(sources: ReadonlyMap<string, string>): { HEAD: string; BODY: string; RENEWAL: string };
