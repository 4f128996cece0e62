import { MattingError } from '../errors.ts'
import { measure, type Png, readPng } from '../png.ts'

/**
 * Whether a PNG is fully transparent: that is Cloud Infinite's answer, billed and with status 200, when it finds no product.
 * Reads only to the first visible pixel. A file that is no PNG with an alpha channel, or is interlaced, counts as not blank.
 *
 * No filter is undone: every filter (PNG, 9.2) predicts a byte from the same channel of earlier pixels, so while all of these
 * are 0, a filtered alpha of 0 is an alpha of 0.
 */
async function isBlank(png: Png): Promise<boolean> {
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
  return false
}

/** What the first bytes of a cutout tell; it has no size if it is no PNG that can be read here. @throws what `pieces` throws */
export async function inspect(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ blank: boolean; width?: number; height?: number }> {
  let size = {}
  try {
    const png = await readPng(pieces)
    size = { width: png.width, height: png.height }
    return { blank: await isBlank(png), ...size }
  } catch (error) {
    if (!(error instanceof MattingError && error.code === 'no-view')) throw error
    return { blank: false, ...size }
  }
}
