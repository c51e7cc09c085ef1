import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** What CI is known not to have: `test name <tab> reason` a line. Printed and counted, but no failure. */
function absent(): Map<string, string> {
  const path = join(import.meta.dirname, '..', '.ci', 'absent');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const pairs = lines.filter(line => line.includes('\t')).map(line => line.split('\t') as [string, string]);
  return new Map(pairs);
}

/** Names and counts what was skipped, and closes with the line `N passed, N failed`. */
export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap(module => [...module.children.allTests()]);
    const by = (state: string) => tests.filter(test => test.result().state === state);
    const broken = modules.filter(module => module.errors().length > 0).length + errors.length;
    const known = absent();
    const skipped = by('skipped').map(test => test.fullName);
    const excused = skipped.filter(name => known.has(name));
    const required = process.env.POOLSOAK_REQUIRE === 'all' ? skipped.length - excused.length : 0;
    const failed = by('failed').length + broken + required;
    for (const name of skipped)
      process.stdout.write(`skipped: ${name}${known.has(name) ? ` (${known.get(name)})` : ''}\n`);
    if (skipped.length > 0)
      process.stdout.write(`${skipped.length} skipped, ${excused.length} of them for a known reason\n`);
    if (required > 0)
      process.stdout.write('POOLSOAK_REQUIRE=all: a skip without a known reason is a failure\n');
    process.stdout.write(`\n${by('passed').length} passed, ${failed} failed\n`);
    if (failed > 0) process.exitCode = 1;
  }
}
