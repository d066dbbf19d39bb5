// Jest's environment for the mutation check: once a test has failed, and one has passed, no other needs to run.
import { TestEnvironment } from 'jest-environment-node';

export default class FirstFailureEnvironment extends TestEnvironment {
  hasFailed = false;
  hasPassed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_start' && this.hasFailed && this.hasPassed) test.mode = 'skip';
    if (name !== 'test_done' || test.mode === 'skip') return;
    if (test.errors.length > 0) this.hasFailed = true;
    else this.hasPassed = true;
  }
}
