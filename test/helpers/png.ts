import { crc32, deflateSync } from 'node:zlib'

/** In pieces of such a size. */
export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** A chunk of a PNG. */
export function chunk(type: string, data: Buffer): Buffer {
  const whole = Buffer.alloc(12 + data.length)
  whole.writeUInt32BE(data.length)
  whole.write(type, 4, 'latin1')
  data.copy(whole, 8)
  whole.writeUInt32BE(crc32(whole.subarray(4, -4)), 8 + data.length)
  return whole
}

interface Header {
  width: number
  height: number
  colour?: number
  depth?: number
  interlace?: number
}

/** A PNG with these rows, filters included; with none there is no IDAT. `spoil` changes what is compressed. */
export function png(
  { width, height, colour = 6, depth = 8, interlace = 0 }: Header,
  rows: readonly Buffer[],
  chunks: readonly Buffer[] = [],
  level = 6,
  spoil = (data: Buffer) => data,
): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, depth, colour, 0, 0, interlace])
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  const pixels = rows.length > 0 ? [chunk('IDAT', spoil(deflateSync(Buffer.concat(rows), { level })))] : []
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([signature, chunk('IHDR', header), ...chunks, ...pixels, chunk('IEND', Buffer.alloc(0))])
}
