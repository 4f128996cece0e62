import type { Cos } from './cos/cos.ts'
import { json } from './json.ts'
import type { Meter } from './page/wire.ts'
import type { Ran } from './scf/function.ts'
import type { Scf } from './scf/scf.ts'

/** Counts the calls that were paid, and those that were not needed. */
export function createMeter({ bill, processing }: Cos, scf: Scf): { read(): Meter; clear(): void } {
  let saved = 0
  scf.watch((told) => {
    // A HEAD never pays.
    if ('ran' in told && Object(told.event).httpMethod !== 'HEAD') saved += savedIn(told.ran)
  })
  return {
    read() {
      const { calls, bytes } = processing()
      const items = bill()
      // What is only delivered, and stored nowhere, has no key.
      const ids = items.map(({ fileid, source, etag, rule }) => fileid || `${source} ${etag} ${rule}`)
      return { paid: items.length, cutouts: new Set(ids).size, saved, processing: { calls, bytes } }
    },
    clear() {
      saved = 0
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
