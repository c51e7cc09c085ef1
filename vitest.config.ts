import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real servers and processes: what waits for a condition may take this long on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more files at once would be the noise that the tests look for.
    maxWorkers: 2,
    // Tests that say `concurrent` wait for timers most of the time.
    maxConcurrency: 20,
    reporters: ['default', './test/skipped-reporter.ts'],
  },
});
