export function inlineConstants(lua: string): string;
