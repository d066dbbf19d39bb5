export function countLimited(lua: string): { readonly locals: number; readonly upvalues: number };
