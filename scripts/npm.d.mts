import type { SpawnSyncOptions } from 'node:child_process';

export function npm(cwd: string, args: readonly string[], options?: SpawnSyncOptions): string;
