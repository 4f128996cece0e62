import { MattingError } from '../errors.ts'
import { measure, readPng } from '../png.ts'

/**
 * Whether a PNG is fully transparent: this is Cloud Infinite's answer, billed and with status 200, when it finds no product.
 * Reads only to the first visible pixel. A file that is no PNG with an alpha channel, or is interlaced, counts as not blank.
 *
 * No filter is undone: every filter (PNG, 9.2) predicts a byte from the same channel of earlier pixels, so while all of these
 * are 0, a filtered alpha of 0 is an alpha of 0.
 */
export async function isBlank(pieces: AsyncIterable<Uint8Array>): Promise<boolean> {
  try {
    const png = await readPng(pieces)
    const { width, height, colour, depth, filtered } = png
    if (colour < 4) return false
    const { step } = measure(png)
    // A row begins with the number of its filter; alpha is the last sample (with sixteen bits, its high byte).
    let [position, next, column, row] = [0, 1 + step - depth / 8, 0, 0]
    for await (const pixels of filtered) {
      for (const end = position + pixels.length; next < end; next += step) {
        if (pixels[next - position] !== 0) return false
        if (++column < width) continue
        column = 0
        next++
        if (++row === height) return true
      }
      position += pixels.length
    }
  } catch (error) {
    if (!(error instanceof MattingError && error.code === 'no-view')) throw error
  }
  return false
}
