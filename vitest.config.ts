import { defineConfig } from 'vitest/config';

/** What takes real components (registry, overlay, user namespaces) is named *.integration.test.ts. */
export default defineConfig({
  test: {
    globalSetup: ['test/leftovers.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{core,registry,runtime,builder,rebuild,cli,test,bench}/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts', 'test/e2e/**'],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['**/*.integration.test.ts'],
          exclude: ['node_modules/**', 'dist/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
