// `npm run test:nest -- 11 [arguments for Jest]`: the whole of `npm test` on another major version of NestJS. Copies the
// repository into a temporary folder, installs the @nestjs packages of that version there, and runs `npm test`.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm } from './npm.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Generated folders, and the history, which no test reads. */
const LEFT_OUT = ['node_modules', 'dist', 'build', 'coverage', '.git'];

const [version = '', ...jestArguments] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const versions = manifest.peerDependencies['@nestjs/core'].match(/\d+/g);
if (!versions.includes(version)) {
  process.stderr.write(`Which version of NestJS? One of: ${versions.join(', ')}\n`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), `atomic-queues-nest${version}-`));
try {
  cpSync(ROOT, folder, { recursive: true, filter: source => !LEFT_OUT.includes(basename(source)) });
  const { devDependencies } = manifest;
  for (const name of Object.keys(devDependencies).filter(name => name.startsWith('@nestjs/'))) {
    devDependencies[name] = `^${version}.0.0`;
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  unpin(join(folder, 'package-lock.json'), '@nestjs/');
  npm(folder, ['install', '--no-audit', '--no-fund'], { stdio: 'inherit' });
  npm(folder, ['test', '--', ...jestArguments], { stdio: 'inherit' });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Everything else stays at the versions with which the repository is tested. */
function unpin(file, scope) {
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  for (const path of Object.keys(lock.packages)) {
    if (path.startsWith(`node_modules/${scope}`)) delete lock.packages[path];
  }
  writeFileSync(file, JSON.stringify(lock));
}
