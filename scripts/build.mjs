// Builds dist/ (the package, as ES modules and as CommonJS) and build/ (examples, benchmarks and the programs that
// tests start as processes; they import the package by its own name, exactly as a user does).
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { generateLua } from './lua.mjs';

function compile(project) {
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], { stdio: 'inherit' });
  if (tsc.status !== 0) process.exit(tsc.status ?? 1);
}

generateLua();
for (const folder of ['dist', 'build']) rmSync(folder, { recursive: true, force: true });
compile('tsconfig.dist.json');
compile('tsconfig.dist-cjs.json');
mkdirSync('dist/cjs', { recursive: true });
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');
compile('tsconfig.programs.json');
