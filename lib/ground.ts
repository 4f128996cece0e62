import { pipeline } from 'node:stream/promises'
import { createDeflate } from 'node:zlib'
import type { Cos } from './cos.ts'
import { besideCutout } from './cutout.ts'
import { MattingError } from './errors.ts'
import { keep, MAX_PICTURE, type Reading, readPixels } from './pixels.ts'
import { SIGNATURE } from './png.ts'

/** Bytes of pixels that are compressed at once. */
const PART = 1 << 16

/**
 * The key of the ground: a copy of a stored cutout, laid on an opaque colour (`rrggbb`, lower case). It is made if it is not
 * there. Two who do so at once store the same bytes.
 * @throws MattingError no-view, also if the ground has more than 32 MiB; timeout, changed, as `readPixels` does
 */
export async function groundOf(store: Cos, cutout: string, colour: string, time: Reading): Promise<string> {
  const key = besideCutout(cutout, `ground-${colour}.png`)
  const head = await store.head(key)
  if (head && head.modified >= (time.since ?? 0)) return key
  const { png, rows, modified } = await readPixels(store, cutout, time)
  const body = await writePng(png, lay(rows, Buffer.from(colour, 'hex')))
  await keep(store, { key: cutout, modified }, key, body, { type: 'image/png' })
  return key
}

/** Lays rows of RGBA on a colour: round((c·a + g·(255 - a)) / 255). Each row is valid until the next is asked for. */
async function* lay(rows: AsyncIterable<Uint8Array>, ground: Uint8Array): AsyncGenerator<Uint8Array> {
  const [red = 0, green = 0, blue = 0] = ground
  let laid = new Uint8Array()
  for await (const row of rows) {
    if (laid.length === 0) laid = new Uint8Array((row.length / 4) * 3)
    for (let from = 0, to = 0; from < row.length; from += 4, to += 3) {
      const a = row[from + 3] ?? 0
      laid[to] = blend(row[from] ?? 0, red, a)
      laid[to + 1] = blend(row[from + 1] ?? 0, green, a)
      laid[to + 2] = blend(row[from + 2] ?? 0, blue, a)
    }
    yield laid
  }
}

/** Without a division: for n = 255·255 and less, (n + 128 + (n + 128 >> 8)) >> 8 is n / 255, rounded. */
function blend(c: number, g: number, a: number): number {
  const n = c * a + g * (255 - a) + 128
  return (n + (n >> 8)) >> 8
}

/** An opaque PNG of rows of 8-bit RGB. @throws MattingError no-view if it has more than 32 MiB; what `rows` throws */
async function writePng(
  { width, height }: { width: number; height: number },
  rows: AsyncIterable<Uint8Array>,
): Promise<Buffer> {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // Eight bits, colour type 2.
  header.set([8, 2], 8)
  const parts = [SIGNATURE, ...chunk('IHDR', header)]
  let size = 0
  // Level 3: the ground is read by Cloud Infinite alone, and higher levels take twice the time for a tenth of the bytes.
  await pipeline(filtered(width * 3, rows), createDeflate({ level: 3, chunkSize: PART }), async (data) => {
    for await (const part of data as AsyncIterable<Buffer>) {
      size += part.length
      if (size > MAX_PICTURE) throw new MattingError('no-view')
      parts.push(...chunk('IDAT', part))
    }
  })
  return Buffer.concat([...parts, ...chunk('IEND', Buffer.alloc(0))])
}

/** Rows with the filter Up (PNG, 9.2), several at once. Other filters, even the best for each row, gain next to nothing. */
async function* filtered(length: number, rows: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const above = Buffer.alloc(length)
  const most = Math.max(1, Math.floor(PART / (1 + length)))
  let part = Buffer.alloc(0)
  let at = 0
  for await (const row of rows) {
    // A new one each time, because the last may still wait to be compressed.
    if (at === 0) part = Buffer.alloc(most * (1 + length))
    part[at++] = 2
    for (let i = 0; i < length; i++) part[at++] = (row[i] ?? 0) - (above[i] ?? 0)
    above.set(row)
    if (at < part.length) continue
    yield part
    at = 0
  }
  yield part.subarray(0, at)
}

function chunk(type: string, data: Buffer): [head: Buffer, data: Buffer, checksum: Buffer] {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(data.length, 0)
  head.write(type, 4, 'latin1')
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(data, crc32(head.subarray(4))))
  return [head, data, checksum]
}

/** Cache of what each byte changes; made with the first ground, because it would take a millisecond of every cold start. */
let table: Uint32Array | undefined

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
    return n
  })
}

/** Of all bytes, `before` being that of those before these. Node has it from 20.15 on; 20.12 has it not. */
function crc32(data: Uint8Array, before = 0): number {
  table ??= makeTable()
  let crc = ~before
  for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ (table[(crc ^ (data[i] ?? 0)) & 255] ?? 0)
  return ~crc >>> 0
}
