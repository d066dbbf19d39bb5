import type { Block } from './prose-text.mjs';

export const MAX_WORDS: number;
export const LONG_SENTENCE: string;
export const RULES: readonly { readonly id: string; readonly pattern: RegExp; readonly instead: string }[];
export function faultsOf(block: Block): { line: number; rule: string; found: string; instead: string }[];
