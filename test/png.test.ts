import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { readPng, rows } from '../lib/png.ts'
import { chunk, inPieces, png } from './helpers/png.ts'

async function read(file: Buffer, piece = 5_000): Promise<{ width: number; height: number; pixels: Buffer }> {
  const { width, height, ...rest } = await readPng(inPieces(file, piece))
  const all: Buffer[] = []
  for await (const row of rows({ width, height, ...rest })) all.push(Buffer.from(row))
  return { width, height, pixels: Buffer.concat(all) }
}

/** What sharp reads, as 8-bit RGBA. */
async function asSharp(file: Buffer): Promise<Buffer> {
  const { depth, channels, space } = await sharp(file).metadata()
  if (depth !== 'ushort') return sharp(file).toColourspace('srgb').ensureAlpha().raw().toBuffer()
  // Sixteen bits are read as they are, and of each the higher eight kept.
  const raw = await sharp(file)
    .toColourspace(space === 'grey16' ? 'grey16' : 'rgb16')
    .raw({ depth: 'ushort' })
    .toBuffer()
  const high = Buffer.from(raw.filter((_, i) => i % 2 === 1))
  const count = channels ?? 0
  const pixel = (i: number) => {
    const [a = 0, b = 0, c = 0, d = 255] = high.subarray(i * count, (i + 1) * count)
    return count < 3 ? [a, a, a, count === 2 ? b : 255] : [a, b, c, d]
  }
  return Buffer.from(Array.from({ length: high.length / count }, (_, i) => pixel(i)).flat())
}

const picture = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
    channels: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
    seed: fc.integer({ min: 1, max: 2 ** 30 }),
    noise: fc.boolean(),
    sixteen: fc.boolean(),
    palette: fc.boolean(),
    colours: fc.integer({ min: 2, max: 256 }),
    adaptiveFiltering: fc.boolean(),
    compressionLevel: fc.integer({ min: 0, max: 9 }),
    piece: fc.integer({ min: 1, max: 5_000 }),
  })
  .map(({ width, height, channels, seed, noise, ...how }) => {
    const data = Buffer.alloc(width * height * channels)
    for (let i = 0; i < data.length; i++) data[i] = noise ? (i * seed) >>> 7 : (i * (seed & 3)) >> 4
    return { raw: { width, height, channels }, data, ...how }
  })

describe('a PNG', () => {
  it('has the pixels that sharp reads, whatever its colour type, depth, filters and pieces', async () => {
    await fc.assert(
      fc.asyncProperty(picture, async ({ raw, data, sixteen, palette, colours, piece, ...how }) => {
        let image = sharp(data, { raw }).png({ ...how, palette: palette && !sixteen, colours })
        if (sixteen) image = image.toColourspace(raw.channels < 3 ? 'grey16' : 'rgb16')
        const file = await image.toBuffer()
        const { width, height, pixels } = await read(file, piece)
        expect([width, height]).toEqual([raw.width, raw.height])
        expect(pixels.equals(await asSharp(file))).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  it.each([0, 1, 2, 3, 4])('with filter %i in each row', async (filter) => {
    for (const [colour, depth, step] of [
      [6, 8, 4],
      [4, 16, 4],
      [2, 8, 3],
      [0, 4, 1],
      [0, 16, 2],
    ] as const) {
      const row = () => Buffer.from([filter, ...Array.from({ length: 7 * step }, (_, i) => (i * i * 37 + step) & 255)])
      const file = png({ width: depth === 4 ? 14 : 7, height: 3, colour, depth }, [row(), row(), row()])
      expect((await read(file, 10)).pixels).toEqual(await asSharp(file))
    }
  })

  it.each([
    ['grey', 0, [0, 0x80], [0x80, 0x81, 0xff]],
    ['colour', 2, [0, 1, 0, 2, 0, 3], [1, 2, 3, 1, 2, 4, 0, 2, 3]],
  ])('with one transparent %s', async (_, colour, key, row) => {
    const file = png(
      { width: 3, height: 1, colour, depth: 8 },
      [Buffer.from([0, ...row])],
      [chunk('tRNS', Buffer.from(key))],
    )
    const { pixels } = await read(file)
    expect(pixels.filter((_, i) => i % 4 === 3)).toEqual(Buffer.from([0, 255, 255]))
    expect(pixels).toEqual(await asSharp(file))
  })

  it('keeps no more of a file than a piece, nor asks for one before it must', async () => {
    const file = await sharp({ create: { width: 900, height: 900, channels: 4, background: '#12345678' } })
      .png({ compressionLevel: 0 })
      .toBuffer()
    let [asked, seen] = [0, 0]
    async function* counted() {
      for await (const piece of inPieces(file, 20_000)) {
        asked++
        yield piece
      }
    }
    for await (const row of rows(await readPng(counted()))) {
      seen += row.length
      // Of what was asked for, a row at most was not yet given.
      expect(asked * 20_000 - seen).toBeLessThan(2 * 20_000)
    }
    expect(seen).toBe(900 * 900 * 4)
  })
})

const row = Buffer.alloc(9)
describe('what is no picture for us is no-view', () => {
  it.each<[string, Buffer]>([
    ['an interlaced one', png({ width: 2, height: 2, interlace: 1 }, [row, row])],
    ['no pixels', png({ width: 2, height: 2 }, [])],
    ['no header', Buffer.concat([png({ width: 2, height: 2 }, []).subarray(0, 8), chunk('IDAT', deflateSync(row))])],
    ['a size of nothing', png({ width: 0, height: 2 }, [row, row])],
    ['depth 4 of a colour', png({ width: 2, height: 2, colour: 2, depth: 4 }, [row, row])],
    ['another colour type', png({ width: 2, height: 2, colour: 5 }, [row, row])],
    ['attack: a row wider than memory', png({ width: 200_000_000, height: 1 }, [row])],
    ['attack: more pixels than there is time for', png({ width: 50_000, height: 50_000 }, [row])],
  ])('%s, before its pixels', async (_, file) => {
    await expect(readPng(inPieces(file, 5_000))).rejects.toMatchObject({
      code: 'no-view',
      status: 422,
      retryable: false,
    })
  })

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['no PNG', Buffer.from('<Error/>'.repeat(9))],
    ['attack: fewer rows than the header says', png({ width: 2, height: 3 }, [row, row])],
    ['attack: more rows than the header says', png({ width: 2, height: 1 }, [row, row])],
    ['attack: half a row more', png({ width: 2, height: 1 }, [row, Buffer.alloc(4)])],
    ['attack: a zip bomb', png({ width: 2, height: 2 }, [Buffer.alloc(30_000_000)])],
    ['attack: a header without an end', chunk('IHDR', Buffer.alloc(1_000_000))],
    [
      'attack: a palette without an end',
      png({ width: 2, height: 2 }, [row, row], [chunk('PLTE', Buffer.alloc(999_999))]),
    ],
    ['another filter', png({ width: 2, height: 1 }, [Buffer.alloc(9, 5)])],
    [
      'a checksum of other pixels',
      png({ width: 2, height: 2 }, [row, row], [], 6, (data) => data.fill(1, data.length - 4)),
    ],
    ['broken pixels', png({ width: 2, height: 2 }, [row, row], [], 6, (data) => data.fill(0xee, 2))],
    ['half of the pixels', png({ width: 2, height: 2 }, [row, row], [], 6, (data) => data.subarray(0, 9))],
  ])('%s', async (_, file) => {
    await expect(read(file)).rejects.toMatchObject({ code: 'no-view', status: 422, retryable: false })
    await expect(read(file, 1 + (file.length >> 6))).rejects.toMatchObject({ code: 'no-view' })
  })

  it('any part of one, and none of its bytes changed makes another error', async () => {
    const file = await sharp({ create: { width: 9, height: 9, channels: 4, background: '#1234' } })
      .png()
      .toBuffer()
    for (let end = 0; end < file.length - 4; end++)
      await expect(read(file.subarray(0, end))).rejects.toMatchObject({ code: 'no-view' })
    for (let at = 0; at < file.length; at++) {
      const changed = Buffer.from(file)
      changed[at] = (changed[at] ?? 0) ^ 0x55
      const { code } = await read(changed).then(
        () => ({ code: 'no-view' }),
        (error) => error,
      )
      expect(code).toBe('no-view')
    }
  })

  it('what follows the end of the pixels is nobody’s, and not even asked for', async () => {
    const file = png({ width: 2, height: 2 }, [row, row], [], 6, (data) => Buffer.concat([data, Buffer.alloc(9_000)]))
    const more = Buffer.concat([file.subarray(0, -12), chunk('IDAT', Buffer.alloc(9_000)), file.subarray(-12)])
    for (const size of [1, 7, 50, 5_000]) {
      let asked = 0
      async function* counted() {
        for await (const piece of inPieces(more, size)) {
          asked++
          yield piece
        }
      }
      const all: Uint8Array[] = []
      for await (const row of rows(await readPng(counted()))) all.push(Uint8Array.from(row))
      expect(Buffer.concat(all)).toEqual(Buffer.alloc(16))
      // The header and the pixels, and as many pieces as it takes to see their end.
      expect(asked * size).toBeLessThan(Math.max(200, 3 * size))
    }
  })

  it('an error of the storage stays what it is', async () => {
    const file = png({ width: 2, height: 2 }, [row, row])
    for (const at of [3, 30, file.length - 20]) {
      async function* broken() {
        yield file.subarray(0, at)
        throw new Error('the storage')
      }
      const all = async () => {
        for await (const _ of rows(await readPng(broken())));
      }
      await expect(all()).rejects.toThrow('the storage')
    }
  })
})
