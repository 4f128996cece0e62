import type { Reporter } from 'vitest/node'

/** Prints the ten slowest tests. */
export default class implements Reporter {
  onTestRunEnd: NonNullable<Reporter['onTestRunEnd']> = (modules) => {
    const tests = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({
        seconds: (test.diagnostic()?.duration ?? 0) / 1000,
        name: `${module.relativeModuleId}: ${test.fullName}`,
      })),
    )
    console.log('\nSlowest tests:')
    for (const { seconds, name } of tests.sort((a, b) => b.seconds - a.seconds).slice(0, 10))
      console.log(`${seconds.toFixed(1).padStart(6)} s  ${name.slice(0, 120)}`)
  }
}
