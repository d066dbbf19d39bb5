// npm for scripts, on every system: the npm that runs this script, else the one on PATH.
import { spawnSync } from 'node:child_process';

/**
 * Runs npm in a folder, and waits for it.
 * @param {string} cwd
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} options
 * @returns what it printed, when `stdio` is 'pipe'
 * @throws an error with what it printed, if it fails
 */
export function npm(cwd, args, options = {}) {
  const { npm_execpath: path } = process.env;
  // On Windows npm is a batch file, which only a shell can start; under `npm run` the path of its JavaScript is known.
  const [command, first] = path ? [process.execPath, [path]] : ['npm', []];
  const { status, signal, error, stdout, stderr } = spawnSync(command, [...first, ...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    shell: !path && process.platform === 'win32',
    ...options,
  });
  if (status === 0) return stdout;
  throw new Error(
    `npm ${args.join(' ')}: ${error?.message ?? `ended with ${signal ?? status}`}\n${stdout ?? ''}${stderr ?? ''}`,
  );
}
