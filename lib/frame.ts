import type { Cos } from './cos.ts'
import { frameKey } from './cutout.ts'
import { keep, type Reading, readPixels } from './pixels.ts'
import { quietly } from './quietly.ts'
import type { Frame } from './view.ts'

/** Alpha, of 255, from which a pixel belongs to the product. Fainter ones are specks and ends of shadows, which nobody sees. */
const SEEN = 16

/**
 * The frame of a stored cutout; the whole picture if nothing in it is transparent, or nothing is seen. It is read off the
 * pixels once, and then remembered in a record. Two who do so at once write the same.
 * @throws MattingError no-view, timeout, changed, as `readPixels` does
 */
export async function frameOf(store: Cos, cutout: string, time: Reading): Promise<Frame> {
  const record = frameKey(cutout)
  const { body, written = 0 } = (await store.get(record)) ?? {}
  const known = readFrame(body)
  if (known && written >= (time.since ?? 0)) return known
  const { png, rows, modified } = await readPixels(store, cutout, time)
  const frame = await findFrame(png, rows)
  // If this fails, the next request reads the pixels again.
  await keep(store, { key: cutout, modified }, record, JSON.stringify(frame), { type: 'application/json' }).catch(
    () => {},
  )
  return frame
}

/** Undefined if there is no record, or it is malformed. */
export function readFrame(text = ''): Frame | undefined {
  return quietly(() => {
    const { x, y, width, height, of } = Object(JSON.parse(text))
    const [w, h, ...more] = of
    const numbers = [x, y, width, height, w, h].every((n) => Number.isSafeInteger(n) && n >= 0) && more.length === 0
    const fits = width > 0 && height > 0 && x + width <= w && y + height <= h
    return numbers && fits ? { x, y, width, height, of: [w, h] } : undefined
  })
}

async function findFrame(png: { width: number; height: number }, rows: AsyncIterable<Uint8Array>): Promise<Frame> {
  const of = [png.width, png.height] as const
  let [left, top, right, bottom, y] = [png.width, png.height, 0, 0, 0]
  for await (const row of rows) {
    const seen = (x: number) => (row[4 * x + 3] ?? 0) >= SEEN
    let x = 0
    while (x < png.width && !seen(x)) x++
    if (x < png.width) {
      left = Math.min(left, x)
      top = Math.min(top, y)
      bottom = y + 1
      for (x = png.width - 1; x >= right; x--) if (seen(x)) right = x + 1
    }
    y++
  }
  if (bottom === 0) return { x: 0, y: 0, width: png.width, height: png.height, of }
  return { x: left, y: top, width: right - left, height: bottom - top, of }
}
