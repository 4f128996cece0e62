import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files that take longest. They begin first, for one that begins last runs alone. A new clone has no durations to sort by. */
const LONGEST = [
  'once',
  'sample',
  'cache',
  'upload',
  'claim',
  'events',
  'keys',
  'image',
  'upload-claims',
  'pay',
  'start',
  'page',
  'trouble',
  'shop',
  'method-two',
  'deploy',
  'doctor',
  'show',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
      return place < 0 ? LONGEST.length : place
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: process.env.CI ? ['default', './test/helpers/slowest.ts'] : ['default'],
    globalSetup: ['test/helpers/built.ts', 'test/helpers/folder.ts'],
    // A busy machine takes its time; what is waited for is what counts.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    // While one file waits for an answer or for a child process, another can run; so five at a time even on two cores. Three take
    // less CPU time, and more of the clock's.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    // Tests leave nothing behind, so that files can share what takes long to load.
    isolate: false,
  },
})
