import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

/** Names and counts what was skipped, and closes with the line `N passed, N failed`. */
export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], _reason: TestRunEndReason): void {
    const tests = modules.flatMap(module => [...module.children.allTests()]);
    const by = (state: string) => tests.filter(test => test.result().state === state);
    const broken = modules.filter(module => module.errors().length > 0).length + errors.length;
    const skipped = by('skipped');
    const names = skipped.map(test => `  skipped: ${test.fullName}\n`).join('');
    const require = process.env.POOLSOAK_REQUIRE === 'all';
    const failed = by('failed').length + broken + (require ? skipped.length : 0);
    if (skipped.length > 0) process.stdout.write(`\n${skipped.length} tests skipped:\n${names}`);
    if (require && skipped.length > 0) process.stdout.write('POOLSOAK_REQUIRE=all: a skip is a failure\n');
    process.stdout.write(`\n${by('passed').length} passed, ${failed} failed\n`);
    if (failed > 0) process.exitCode = 1;
  }
}
