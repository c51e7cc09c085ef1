import { defineConfig } from 'vitest/config';

/** The main job itself, alone on the machine: minutes, so it is no part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/**/*.soak.ts'],
    testTimeout: 600_000,
    fileParallelism: false,
    reporters: ['default', './test/skipped-reporter.ts'],
  },
});
