import { createInflate } from 'node:zlib'

/** By colour type and bit depth: bytes per pixel, and the index of the alpha byte (with sixteen bits, of the high one). */
const ALPHA: Readonly<Record<string, readonly [pixel: number, alpha: number]>> = {
  '4,8': [2, 1],
  '4,16': [4, 2],
  '6,8': [4, 3],
  '6,16': [8, 6],
}

/**
 * Whether a PNG is fully transparent: this is Cloud Infinite's answer, billed and with status 200, when it finds no product.
 * Reads only to the first visible pixel. A file that is no PNG with an alpha channel, or is interlaced, counts as not blank.
 *
 * No filter is undone: every filter (PNG, 9.2) predicts a byte from the same channel of earlier pixels, so while all of these
 * are 0, a filtered alpha of 0 is an alpha of 0.
 */
export async function isBlank(png: AsyncIterable<Uint8Array>): Promise<boolean> {
  let [width, height, pixel, alpha] = [0, 0, 0, 0]
  let visible = false
  let [position, next, column, row] = [0, 0, 0, 0]
  const inflate = createInflate({ chunkSize: 1 << 18 })
  inflate.on('data', (pixels: Buffer) => {
    for (const end = position + pixels.length; next < end && row < height && !visible; next += pixel) {
      visible = pixels[next - position] !== 0
      if (++column < width) continue
      column = 0
      row++
      // A row begins with the number of its filter.
      next++
    }
    position += pixels.length
  })
  let wake = () => {}
  // After an error, `write` does not call back.
  inflate.on('error', () => {
    visible = true
    wake()
  })
  for await (const { type, data } of chunks(png)) {
    if (type === 'IHDR' && data.length === 13) {
      width = data.readUInt32BE(0)
      height = data.readUInt32BE(4)
      ;[pixel = 0, alpha = 0] = ALPHA[`${data[9]},${data[8]}`] ?? []
      if (pixel === 0 || data[12] !== 0) return false
      next = 1 + alpha
    } else if (type === 'IDAT') {
      await new Promise<void>((resolve) => {
        wake = resolve
        inflate.write(data, () => resolve())
      })
    }
    if (visible) break
  }
  inflate.destroy()
  return height > 0 && row === height && !visible
}

/** Yields a PNG's chunks; of an IDAT chunk, each part as soon as it arrives. */
async function* chunks(png: AsyncIterable<Uint8Array>): AsyncGenerator<{ type: string; data: Buffer }> {
  let buffer = Buffer.alloc(0)
  let at = 8
  /** How many bytes of the chunk at `at` were yielded. */
  let given = 0
  for await (const piece of png) {
    buffer = Buffer.concat([buffer, piece])
    if (buffer.length >= 8 && !buffer.toString('latin1', 0, 4).startsWith('\x89PNG')) return
    while (buffer.length >= at + 8) {
      const end = at + 8 + buffer.readUInt32BE(at)
      const type = buffer.toString('latin1', at + 4, at + 8)
      const data = buffer.subarray(at + 8 + given, end)
      if (type === 'IDAT' || buffer.length >= end) yield { type, data }
      if (type === 'IDAT') given += data.length
      if (buffer.length < end) break
      // After the data, four bytes of CRC.
      at = end + 4
      given = 0
    }
  }
}
