import { expect } from 'vitest'

/** The length of a text that must be read in linear time, in characters. */
export const LENGTH = 100_000
/** The most CPU time for all texts together, in milliseconds. Other processes do not add to CPU time. */
const MOST = 2_500

/** A long repetition of these characters, and then one that no valid text ends in. */
export const long = (bit: string): string => `${bit.repeat(LENGTH / bit.length)}\u0001`

/** Does the work with each text, even if it throws, and expects that all of it took little CPU time. */
export async function each(texts: readonly string[], work: (text: string) => unknown): Promise<void> {
  const before = process.cpuUsage()
  const dear: [cost: number, text: string][] = []
  for (const text of texts) {
    const start = process.cpuUsage()
    try {
      await work(text)
    } catch {}
    dear.push([process.cpuUsage(start).user / 1000, text.slice(0, 20)])
  }
  const { user, system } = process.cpuUsage(before)
  const [worst] = dear.sort(([a], [b]) => b - a)
  expect((user + system) / 1000, `the worst is ${JSON.stringify(worst)}`).toBeLessThan(MOST)
}
