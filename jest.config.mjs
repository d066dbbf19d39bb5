import { availableParallelism } from 'node:os';
import { generateLua } from './scripts/lua.mjs';

generateLua();

const isFull = process.env.TEST_LENGTH === 'full';

/** Jest runs the TypeScript sources as ES modules: NestJS 12 has no other form. */
export const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      },
      module: { type: 'es6' },
    },
  ],
};

const common = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '/renewal-thread\\.file\\.cjs$': '<rootDir>/test/support/thread-file.cjs',
    // Examples import the package as a user does.
    '^atomic-queues$': '<rootDir>/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform,
  setupFilesAfterEnv: ['<rootDir>/test/support/leaks.ts'],
};

/** Each worker of Jest has a Redis of its own. */
const withRedis = {
  ...common,
  globalSetup: '<rootDir>/test/support/redis-servers.mjs',
  globalTeardown: '<rootDir>/test/support/leaks-in-redis.mjs',
  setupFiles: ['<rootDir>/test/support/redis-of-worker.mjs'],
};

/** Tests of the built package; the other unit tests need neither a build nor Redis. */
const OF_PACKAGE = 'house|package|reference';
/** At full length they judge how long something stands still, and have the machine for themselves. */
const FAULTS = ['/test/faults/', '/test/e2e/'];
/** Tests wait for Redis and for processes half of the time. */
const MORE_WORKERS_THAN_CORES = 2;

export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/unit/**/*.test.ts'],
      testPathIgnorePatterns: [`/test/unit/(${OF_PACKAGE})`],
    },
    {
      ...withRedis,
      displayName: 'redis',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['/test/compat/', `/test/unit/(?!${OF_PACKAGE})`, ...FAULTS],
    },
    {
      ...withRedis,
      displayName: 'faults',
      testMatch: FAULTS.map(folder => `<rootDir>${folder}*.test.ts`),
      // A failover is in the full run only.
      ...(isFull ? { runner: '<rootDir>/scripts/serial-runner.mjs' } : { testPathIgnorePatterns: ['/failover'] }),
    },
  ],
  testTimeout: 30_000,
  reporters: ['default', '<rootDir>/scripts/summary-reporter.mjs'],
  // The server of REDIS_URL is one for all.
  maxWorkers: process.env.REDIS_URL ? 1 : availableParallelism() + MORE_WORKERS_THAN_CORES,
  // Modules of a test file are not all collected when it ends.
  workerIdleMemoryLimit: '1500MB',
};
