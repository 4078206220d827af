import { defineConfig } from 'vitest/config';

const project = (name: string, testTimeout: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout },
});

export default defineConfig({
  test: {
    reporters: process.env.CI ? ['default', 'json'] : ['default'],
    outputFile: { json: 'build/vitest.json' },
    projects: [
      // Nothing but src/: no addon, no network, no model.
      project('unit', 10_000),
      // The native addon and small model files.
      project('integration', 120_000),
      // The built command line as a person runs it.
      project('e2e', 300_000),
    ],
  },
});
