/** Jest runs the TypeScript sources as ES modules: NestJS 12 has no other form. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
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
  testPathIgnorePatterns: ['/node_modules/', '/test/compat/'],
  testTimeout: 30_000,
};
