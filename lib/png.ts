import { createInflate } from 'node:zlib'
import { MattingError } from './errors.ts'

/** A PNG whose header was read, and whose pixels can be read once. */
export interface Png {
  width: number
  height: number
  /** Of PNG, 11.2.2. */
  colour: number
  /** Bits of each sample. */
  depth: number
  /** What its PLTE and tRNS chunks hold; empty if it has none. */
  palette: Buffer
  transparent: Buffer
  /** The rows as they are filtered, in parts of any length. */
  filtered: AsyncGenerator<Buffer>
}

/**
 * What Cloud Infinite processes (product/460/36620). A PNG that claims more is refused by its header, because a few bytes of
 * it can become more pixels than there is time for, and a single row more than there is memory for.
 */
const MAX_SIDE = 50_000
const MAX_PIXELS = 250_000_000

/** Colour type → samples of a pixel. */
const SAMPLES: readonly number[] = [1, 0, 3, 1, 2, 0, 4]
/** Depth, colour type, compression, filters, interlace. */
const FORM = /^((1|2|4|8|16),0|[1248],3|(8|16),[246]),0,0,0$/
export const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** Bytes of pixels that are read at once; fewer would only take longer. */
const PART = 1 << 18

/**
 * Reads a PNG up to its pixels. Of the file only the piece at hand is kept, and a piece is asked for only when all before it
 * was used. Checksums of chunks are not compared, but that of the pixels is.
 * @throws MattingError no-view if it is no PNG, broken, interlaced or too large; what `pieces` throws
 */
export async function readPng(pieces: AsyncIterable<Uint8Array>): Promise<Png> {
  const all = chunks(pieces)
  const found = new Map<string, Buffer>()
  let chunk = await all.next()
  for (; !chunk.done && chunk.value.type !== 'IDAT'; chunk = await all.next()) {
    found.set(chunk.value.type, chunk.value.data)
  }
  if (chunk.done) throw unreadable('no pixels')
  const first = chunk.value.data
  const [header, none] = [found.get('IHDR'), Buffer.alloc(0)]
  const { PLTE: palette = none, tRNS: transparent = none } = Object.fromEntries(found)
  if (header?.length !== 13 || !FORM.test(header.subarray(8).join())) throw unreadable('another form')
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const fits = Math.max(width, height) <= MAX_SIDE && width * height <= MAX_PIXELS && width * height > 0
  if (!fits) throw unreadable('another size')
  async function* data() {
    yield first
    for await (const { type, data } of all) if (type === 'IDAT') yield data
  }
  const [depth = 0, colour = 0] = header.subarray(8)
  return { width, height, colour, depth, palette, transparent, filtered: inflate(data()) }
}

/** How many bytes the pixels of a row have, without its filter, and how far a pixel is from the next; at least one byte. */
export function measure({ width, colour, depth }: Png): { length: number; step: number } {
  const bits = depth * (SAMPLES[colour] ?? 0)
  return { length: Math.ceil((width * bits) / 8), step: Math.max(1, bits >> 3) }
}

/**
 * The rows from top to bottom, each as 8-bit RGBA, which is valid until the next is asked for.
 * @throws MattingError no-view if there are fewer or more than the header says, or they are broken
 */
export async function* rows(png: Png): AsyncGenerator<Uint8Array> {
  const { length, step } = measure(png)
  // A pixel of zeros lies before each row: the filters predict from it (PNG, 9.2). In its last byte comes the filter.
  let [row, above] = [Buffer.alloc(step + length), Buffer.alloc(step + length)]
  const pixels = Buffer.alloc(png.width * 4)
  let [at, done] = [step - 1, 0]
  for await (const part of png.filtered) {
    for (let from = 0; from < part.length; ) {
      if (done === png.height) throw unreadable('too many rows')
      const copied = part.copy(row, at, from)
      from += copied
      at += copied
      if (at < row.length) continue
      const filter = row[step - 1]
      row[step - 1] = 0
      unfilter(filter, row, above, step)
      yield png.colour === 6 && png.depth === 8 ? row.subarray(step) : toRgba(png, row.subarray(step), pixels)
      ;[row, above] = [above, row]
      at = step - 1
      done++
    }
  }
  if (done < png.height) throw unreadable('too few rows')
}

function unfilter(filter: number | undefined, row: Uint8Array, above: Uint8Array, step: number): void {
  const { length } = row
  if (filter === 1) for (let i = step; i < length; i++) row[i] = (row[i] ?? 0) + (row[i - step] ?? 0)
  else if (filter === 2) for (let i = step; i < length; i++) row[i] = (row[i] ?? 0) + (above[i] ?? 0)
  else if (filter === 3)
    for (let i = step; i < length; i++) row[i] = (row[i] ?? 0) + (((row[i - step] ?? 0) + (above[i] ?? 0)) >> 1)
  else if (filter === 4)
    for (let i = step; i < length; i++)
      row[i] = (row[i] ?? 0) + paeth(row[i - step] ?? 0, above[i] ?? 0, above[i - step] ?? 0)
  else if (filter !== 0) throw unreadable('another filter')
}

/** The neighbour that is nearest to left + above - corner (PNG, 9.4). */
function paeth(left: number, above: number, corner: number): number {
  const [a, b] = [Math.abs(above - corner), Math.abs(left - corner)]
  const c = Math.abs(left + above - 2 * corner)
  return a <= b && a <= c ? left : b <= c ? above : corner
}

/** Of sixteen bits the higher eight count. */
function toRgba({ width, colour, depth, palette, transparent }: Png, row: Buffer, pixels: Buffer): Buffer {
  const samples = SAMPLES[colour] ?? 1
  const most = 2 ** depth - 1
  const read = (i: number) =>
    depth > 8 ? row.readUInt16BE(2 * i) : ((row[(i * depth) >> 3] ?? 0) >> (8 - depth - ((i * depth) & 7))) & most
  const level = (value: number) => (depth > 8 ? value >> 8 : (value * 255) / most)
  // One colour may be transparent (PNG, 11.3.2.1).
  const key = transparent.length === 2 * samples ? transparent : undefined
  for (let x = 0, to = 0; x < width; x++) {
    const first = x * samples
    const isKey = key && Array.from({ length: samples }, (_, i) => key.readUInt16BE(2 * i) === read(first + i))
    for (let c = 0; c < 3; c++) {
      const value = read(samples > 2 ? first + c : first)
      pixels[to++] = colour === 3 ? (palette[3 * value + c] ?? 0) : level(value)
    }
    if (colour === 3) pixels[to++] = transparent[read(first)] ?? 255
    else if (samples % 2 === 0) pixels[to++] = level(read(first + samples - 1))
    else pixels[to++] = isKey?.every(Boolean) ? 0 : 255
  }
  return pixels
}

/** Inflates data, and asks for more of it only when all that came of the last was taken. */
async function* inflate(data: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = createInflate({ chunkSize: PART })
  let wake = () => {}
  let broken: Error | undefined
  stream.on('readable', () => wake()).on('end', () => wake())
  // After an error, `write` does not call back.
  stream.on('error', (error) => {
    broken = error
    wake()
  })
  async function* pass(send: (done: () => void) => void) {
    let sent = false
    send(() => {
      sent = true
      wake()
    })
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const part: Buffer | null = stream.read()
      if (part) yield part
      else if (broken) throw unreadable('broken pixels', broken)
      else if (sent || stream.readableEnded) return
      else await woken
    }
  }
  try {
    for await (const part of data) {
      yield* pass((done) => stream.write(part, done))
      // What follows the end of the pixels belongs to nobody.
      if (stream.readableEnded) return
    }
    // Not before its own end it tells whether something is missing.
    yield* pass(() => stream.end())
  } finally {
    stream.destroy()
  }
}

/** Chunks that are read whole; they have at most 768 bytes. */
const WHOLE = ['IHDR', 'PLTE', 'tRNS']

/** Yields a PNG's chunks that are needed; of IDAT, each part as soon as it arrives. Nothing is kept of the others. */
async function* chunks(png: AsyncIterable<Uint8Array>): AsyncGenerator<{ type: string; data: Buffer }> {
  const pieces = png[Symbol.asyncIterator]()
  let piece: Buffer = Buffer.alloc(0)
  /** The next bytes of a piece, at most so many. */
  const some = async (most: number) => {
    while (piece.length === 0) {
      const { done, value } = await pieces.next()
      if (done) throw unreadable('a broken end')
      piece = Buffer.from(value.buffer, value.byteOffset, value.length)
    }
    const part = piece.subarray(0, most)
    piece = piece.subarray(part.length)
    return part
  }
  const whole = async (length: number) => {
    const parts: Buffer[] = []
    for (let left = length; left > 0; left -= parts.at(-1)?.length ?? 0) parts.push(await some(left))
    return Buffer.concat(parts)
  }
  if (!(await whole(8)).equals(SIGNATURE)) throw unreadable('no PNG')
  // After the data of a chunk, four bytes of checksum.
  for (let head = await whole(8); ; head = (await whole(12)).subarray(4)) {
    const [length, type] = [head.readUInt32BE(0), head.toString('latin1', 4)]
    if (type === 'IEND') return
    if (WHOLE.includes(type)) {
      if (length > 768) throw unreadable('a long chunk')
      yield { type, data: await whole(length) }
      continue
    }
    for (let left = length; left > 0; ) {
      const data = await some(left)
      left -= data.length
      if (type === 'IDAT') yield { type, data }
    }
  }
}

function unreadable(why: string, error?: Error): MattingError {
  return new MattingError('no-view', undefined, { cause: error ?? new MattingError('no-view', `A PNG with ${why}`) })
}
