/** The compilers of TypeScript that users have, with the settings that change the text of a class. Each compiles one script. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformSync as babel } from '@babel/core';
import { transformSync as swc } from '@swc/core';
import { stop, transform } from 'esbuild';
import { MARK } from './class-texts.js';

type Compile = (source: string) => string | Promise<string>;

const { createInstrumenter } = createRequire(import.meta.url)('istanbul-lib-instrument');

function byTsc(target: string, useDefineForClassFields: boolean): Compile {
  return source => {
    const folder = mkdtempSync(join(tmpdir(), 'class-texts-'));
    try {
      writeFileSync(join(folder, 'classes.ts'), source);
      const compilerOptions = {
        ...{ target, useDefineForClassFields, module: 'commonjs', moduleDetection: 'legacy', types: [] },
        ...{ experimentalDecorators: true, noCheck: true },
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['classes.ts'] }));
      const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { encoding: 'utf8' });
      if (tsc.status !== 0) throw new Error(tsc.stdout);
      return readFileSync(join(folder, 'classes.js'), 'utf8');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

function bySwc(target: 'es5' | 'es2017' | 'es2022', useDefineForClassFields: boolean, minify = false): Compile {
  const jsc = {
    target,
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, useDefineForClassFields },
    minify: { compress: minify, mangle: minify },
  } as const;
  return source => swc(source, { jsc, minify, isModule: false, configFile: false, swcrc: false }).code;
}

function byEsbuild(target: string, useDefineForClassFields: boolean, minify: boolean): Compile {
  const compilerOptions = { experimentalDecorators: true, useDefineForClassFields };
  const options = { loader: 'ts', target, minify, keepNames: true, tsconfigRaw: { compilerOptions } } as const;
  return async source => {
    try {
      return (await transform(source, options)).code;
    } finally {
      await stop();
    }
  };
}

/** It has no decorators of parameters. */
const byBabel: Compile = source =>
  babel(source.replaceAll(MARK, ''), {
    filename: 'classes.ts',
    presets: ['@babel/preset-typescript'],
    sourceType: 'script',
    babelrc: false,
    configFile: false,
    compact: false,
  })?.code ?? '';

/** Like `jest --coverage` and nyc. */
function covered(compile: Compile): Compile {
  return async source => createInstrumenter({ esModules: false }).instrumentSync(await compile(source), 'classes.js');
}

export const COMPILERS: readonly (readonly [name: string, compile: Compile])[] = [
  ['tsc ES2015 with defined fields', byTsc('es2015', true)],
  ['tsc ES2022', byTsc('es2022', false)],
  ['tsc ES2022 with defined fields', byTsc('es2022', true)],
  ['tsc ES2023 with defined fields', byTsc('es2023', true)],
  ['swc ES5', bySwc('es5', false)],
  ['swc ES2017 with defined fields', bySwc('es2017', true)],
  ['swc ES2022', bySwc('es2022', false)],
  ['swc ES2022 with defined fields', bySwc('es2022', true)],
  ['swc ES2022 minified', bySwc('es2022', true, true)],
  ['esbuild ES2017 with defined fields', byEsbuild('es2017', true, false)],
  ['esbuild ES2017 with defined fields minified', byEsbuild('es2017', true, true)],
  ['esbuild ES2022', byEsbuild('es2022', false, false)],
  ['esbuild ES2022 minified', byEsbuild('es2022', true, true)],
  ['Babel', byBabel],
  ['tsc ES2022 and istanbul', covered(byTsc('es2022', false))],
];
