// Runs test files one after the other, in one worker: for tests that measure how long something stands still.
import TestRunner from 'jest-runner';

const Runner = TestRunner.default ?? TestRunner;

export default class SerialRunner extends Runner {
  constructor(globalConfig, context) {
    super({ ...globalConfig, maxWorkers: 1 }, context);
  }
}
