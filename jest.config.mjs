import { generateLua } from './scripts/lua.mjs';

generateLua();

/** Jest runs the TypeScript sources as ES modules: NestJS 12 has no other form. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '/renewal-thread\\.file\\.cjs$': '<rootDir>/test/support/thread-file.cjs',
    // Examples import the package as a user does.
    '^atomic-queues$': '<rootDir>/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
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
  },
  setupFilesAfterEnv: ['<rootDir>/test/support/leaks.ts'],
  globalTeardown: '<rootDir>/test/support/leaks-in-redis.mjs',
  reporters: ['default', '<rootDir>/scripts/summary-reporter.mjs'],
  // Of the faults a short cut runs each time; a failover is in the full run only.
  testPathIgnorePatterns: [
    '/node_modules/',
    '/test/compat/',
    ...(process.env.FAULTS === 'all' ? [] : ['/test/faults/failover']),
  ],
  testTimeout: 30_000,
  // Modules of a test file are not all collected when it ends.
  workerIdleMemoryLimit: '1500MB',
};
