import type { Cos } from './cos/cos.ts'
import { json } from './json.ts'
import type { Meter } from './page/wire.ts'
import type { Ran } from './scf/function.ts'
import type { Scf } from './scf/scf.ts'

/** Counts the calls that were paid, and those that were not needed. */
export function createMeter({ bill, processing }: Cos, scf: Scf): { read(): Meter; clear(): void } {
  let saved = 0
  /** The cutouts of the bill as far as it was read: it only grows, and is read again whenever something happens. */
  const cutouts = new Set<string>()
  let length = 0
  scf.watch((told) => {
    // A HEAD never pays.
    if ('ran' in told && Object(told.event).httpMethod !== 'HEAD') saved += savedIn(told.ran)
  })
  return {
    read() {
      const { calls, bytes } = processing()
      const items = bill()
      // What is only delivered, and stored nowhere, has no key.
      for (const { fileid, source, etag, rule } of items.slice(length))
        cutouts.add(fileid || `${source} ${etag} ${rule}`)
      length = items.length
      return { paid: items.length, cutouts: cutouts.size, saved, processing: { calls, bytes } }
    },
    clear() {
      saved = length = 0
      cutouts.clear()
    },
  }
}

/** How many cutouts were asked for and not paid for, because they were there, or somebody else made them. */
function savedIn({ result = '', logs }: Ran): number {
  if (/"x-matting":"(?:hit|joined)"/.test(result)) return 1
  return logs.map(json).reduce((sum, { cutouts, paid }) => {
    return sum + (Array.isArray(cutouts) ? cutouts.length - Number(paid ?? 0) : 0)
  }, 0)
}
