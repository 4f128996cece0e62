import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: process.env.CI ? ['default', './test/helpers/slowest.ts'] : ['default'],
    globalSetup: ['test/helpers/built.ts', 'test/helpers/folder.ts'],
    // A busy machine takes its time; what is waited for is what counts.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    // While one file waits for an answer or for a child process, another can run; so four at a time even on two cores.
    maxWorkers: 4,
    // Tests leave nothing behind, so that files can share what takes long to load.
    isolate: false,
  },
})
