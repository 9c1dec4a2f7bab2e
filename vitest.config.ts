import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Of tests with real machines, displays and browsers, which share whatever host CI has with whoever else is on it. Those that pass
 * only at the second try are named at the end of the run; at a desk there is no second try.
 */
const retry = process.env.CI ? 1 : 0

/** All of them: left to itself vitest keeps one free, which is half of a small host. */
const maxWorkers = availableParallelism()

/** Pages of docs/reference that the tables write. */
const references = ['test/faults/harness/write-reference.ts', 'test/security/harness/write-attacks.ts']

/** Long, but without a machine: they run beside each other. */
const soaks = ['fuzz*', 'lifecycle-model', 'rotation-crash'].map((name) => `test/long/${name}.test.ts`)

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'test/*.test.ts',
            'test/crash/*.test.ts',
            'bootstrap/*.test.mjs',
            'bench/**/*.test.ts',
          ],
          maxWorkers,
          // No test waits so long when all is well: it is for hosts that are busy with something else.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'host',
          retry,
          include: ['packages/*/src/**/*.host-test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          retry,
          include: ['test/e2e/*.test.ts', 'test/faults/*.test.ts', 'test/security/*.test.ts'],
          globalSetup: references,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      { test: { name: 'soak', include: soaks, maxWorkers, testTimeout: 1_800_000 } },
      {
        test: {
          name: 'long',
          retry,
          include: ['test/long/*.test.ts'],
          exclude: soaks,
          globalSetup: references,
          fileParallelism: false,
          testTimeout: 1_800_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
