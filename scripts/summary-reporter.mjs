// Prints the totals of a run in one plain line, the last one.
export default class SummaryReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites }) {
    // A suite that could not even be loaded has no tests, and is a failure all the same.
    const failed = Math.max(numFailedTests, numFailedTestSuites > 0 ? 1 : 0);
    const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : '';
    process.stderr.write('', () => process.stdout.write(`${numPassedTests} passed, ${failed} failed${skipped}\n`));
  }
}
