import { expect } from 'vitest'

/** Of what is to be read in linear time, in characters. */
export const LENGTH = 200_000
/** For all texts together. CPU time, to which other processes do not add; in milliseconds. */
const MOST = 5_000

/** So many times that they are long, and then something that they could not end in. */
export const long = (bit: string): string => `${bit.repeat(LENGTH / bit.length)}\u0001`

/** Does it with each text, whatever comes of that, and sees what all of it costs. */
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
