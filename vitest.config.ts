import { defineConfig } from 'vitest/config';

/** A folder of test/. `groupOrder`: folders run one after the other. */
const project = (name: string, groupOrder: number, testTimeout: number, extra = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
    sequence: { groupOrder },
    ...extra,
  },
});

// A runtime takes every core for itself: two test files at the same time would only hinder each other.
const alone = { fileParallelism: false };

export default defineConfig({
  test: {
    reporters: process.env.CI ? ['default', 'json'] : ['default'],
    outputFile: { json: 'build/vitest.json' },
    projects: [
      // Nothing but src/ and web/: no addon, no network, no model.
      project('unit', 0, 10_000),
      // The native addon and small model files.
      project('integration', 1, 120_000, alone),
      // The built command line as a person runs it.
      project('e2e', 2, 300_000, alone),
    ],
  },
});
