/**
 * The declarations of the package, both for ES modules and for CommonJS, compiled with `skipLibCheck: false`: with the oldest
 * `lib` by every version of TypeScript from 4.9 on, and with every `lib` by the newest, which is fast.
 *
 * Errors in declarations of other packages do not count: they may need a newer `lib` or compiler than ours.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync } from 'node:fs';

const LIBS = ['es2020', 'es2021', 'es2022', 'es2023', 'esnext'];
const VERSIONS = readdirSync('node_modules').filter(name => name.startsWith('typescript-'));
const NEWEST = 'typescript-7';
if (!VERSIONS.includes(NEWEST) || VERSIONS.length < 6) throw new Error(`Compilers are missing: there are ${VERSIONS}.`);

// The file extension decides which declarations are found: `import` or `require`.
const FILES = ['types.mts', 'types.cts'];
for (const file of FILES) copyFileSync('types.ts', file);

for (const version of VERSIONS) {
  for (const lib of version === NEWEST ? LIBS : LIBS.slice(0, 1)) {
    const found = errorsOf(version, lib);
    if (found.length > 0) throw new Error(`${version} with lib ${lib}:\n${found.join('\n')}`);
  }
}

/** Options that the compiler does not accept are errors, too. */
function errorsOf(version, lib) {
  const target = lib === 'esnext' ? 'es2022' : lib;
  const module = ['--module', 'node16', '--moduleResolution', 'node16'];
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--experimentalDecorators', '--types', 'node'];
  const tsc = `node_modules/${version}/bin/tsc`;
  const args = [tsc, ...options, ...module, '--target', target, '--lib', lib, ...FILES];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status === 0) return [];
  const lines = `${stdout}${stderr}`.split('\n').filter(line => /error TS\d+|^\w*Error:/.test(line));
  if (lines.length === 0) return [`ended with ${status}: ${stdout}${stderr}`];
  return lines.filter(line => !/^node_modules\/(?!atomic-queues\/)/.test(line));
}
