import fc from 'fast-check'
import sharp, { type PngOptions } from 'sharp'
import { describe, expect, it } from 'vitest'
import { inspect } from '../lib/pay/blank.ts'
import { photo, startForTest } from './helpers/cloud.ts'

/** In pieces of such a size; `asked` counts them. */
function pieces(png: Buffer, size: number) {
  const counter = { asked: 0 }
  async function* cut() {
    for (let at = 0; at < png.length; at += size) {
      counter.asked++
      yield png.subarray(at, at + size)
    }
  }
  return Object.assign(cut(), { counter })
}

type Pixels = { width: number; height: number; channels: 2 | 4; data: Buffer }

/** Any picture with an alpha channel, in all of PNG's filters and levels of compression. */
const anyPicture = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
    channels: fc.constantFrom(2 as const, 4 as const),
    seed: fc.integer({ min: 1, max: 255 }),
    colours: fc.boolean(),
    /** How many pixels show. */
    shown: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 3 })),
    where: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
    adaptiveFiltering: fc.boolean(),
    compressionLevel: fc.integer({ min: 0, max: 9 }),
    sixteen: fc.boolean(),
    piece: fc.integer({ min: 1, max: 5_000 }),
  })
  .map(({ width, height, channels, seed, colours, shown, where, ...how }) => {
    const data = Buffer.alloc(width * height * channels)
    for (let i = 0; i < data.length; i++) if (i % channels !== channels - 1) data[i] = colours ? (i * seed) & 255 : 0
    for (const place of where.slice(0, shown)) data[(place % (width * height)) * channels + channels - 1] = seed
    return { pixels: { width, height, channels, data } satisfies Pixels, blank: shown === 0, ...how }
  })

describe('inspect', () => {
  it('is true of a PNG where nothing shows, whatever its filters, depth, colours and pieces', async () => {
    await fc.assert(
      fc.asyncProperty(anyPicture, async ({ pixels, blank, adaptiveFiltering, compressionLevel, sixteen, piece }) => {
        const { data, ...raw } = pixels
        let image = sharp(data, { raw }).png({ adaptiveFiltering, compressionLevel, palette: false })
        if (sixteen) image = image.toColourspace(pixels.channels === 2 ? 'grey16' : 'rgb16')
        expect((await inspect(pieces(await image.toBuffer(), piece))).blank).toBe(blank)
      }),
      { numRuns: 300 },
    )
  })

  it('reads no further than to the first pixel that shows', async () => {
    const noise = {
      create: {
        width: 400,
        height: 400,
        channels: 4 as const,
        background: '#0000',
        noise: { type: 'gaussian' as const, mean: 128, sigma: 30 },
      },
    }
    const png = await sharp(noise).png().toBuffer()
    expect(png.length).toBeGreaterThan(100_000)
    const stream = pieces(png, 16_384)
    expect((await inspect(stream)).blank).toBe(false)
    expect(stream.counter.asked).toBe(1)
  })

  const flat = (side: number, channels: 3 | 4, options: PngOptions = {}) =>
    sharp({ create: { width: side, height: side, channels, background: '#0000' } })
      .png(options)
      .toBuffer()

  it.each<[string, () => Buffer | Promise<Buffer>]>([
    ['no PNG', () => Buffer.from('<Error/>')],
    ['nothing', () => Buffer.alloc(0)],
    ['a JPEG', () => photo()],
    ['a PNG without alpha', () => flat(9, 3)],
    ['an interlaced one', () => flat(9, 4, { progressive: true })],
    ['half of one', async () => (await flat(900, 4)).subarray(0, 200)],
    ['one whose pixels are broken', async () => breakPixels(await flat(9, 4))],
  ])('is false of %s', async (_, make) => {
    expect((await inspect(pieces(await make(), 16_384))).blank).toBe(false)
  })
})

function breakPixels(png: Buffer): Buffer {
  return png.fill(0xee, png.indexOf('IDAT') + 4, png.indexOf('IDAT') + 12)
}

describe('the pieces of an object', () => {
  it('grow, end with it, and are fetched only as they are asked for', async () => {
    const cloud = await startForTest()
    const body = Buffer.alloc(300_000, 'x')
    await cloud.bucket.put('a.bin', body, { type: 'image/png' })
    const before = cloud.cos.requests().length
    const parts: Buffer[] = []
    for await (const part of (await cloud.bucket.pieces('a.bin'))?.pieces ?? []) parts.push(part)
    expect(parts.map(({ length }) => length)).toEqual([16_384, 65_536, 300_000 - 16_384 - 65_536])
    expect(Buffer.concat(parts).equals(body)).toBe(true)
    const first = await cloud.bucket.pieces('a.bin')
    for await (const _ of first?.pieces ?? []) break
    expect(cloud.cos.requests().length - before).toBe(4)
    expect(await cloud.bucket.pieces('none')).toBeUndefined()
    await cloud.bucket.put('empty', '', { type: 'image/png' })
    for await (const part of (await cloud.bucket.pieces('empty'))?.pieces ?? []) expect(part).toHaveLength(0)
  })
})
