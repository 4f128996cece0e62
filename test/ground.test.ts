import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cutoutKey, isCutout } from '../lib/cutout.ts'
import { groundOf } from '../lib/ground.ts'
import { plain } from '../lib/layout.ts'
import { callsOf, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { chunk, png } from './helpers/png.ts'

const CUTOUT = cutoutKey('cutouts/', { key: 'uploads/mug.jpg', etag: '0123456789abcdef0123456789abcdef' }, plain)
const GROUND = CUTOUT.replace('.png', '/ground-f2ece4.png')
const time = { now: Date.now, deadline: Number.POSITIVE_INFINITY }

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())

const store = (file: Buffer) => cloud.bucket.put(CUTOUT, file, { type: 'image/png' })
/** Makes it anew, and reads it. */
async function laid(file: Buffer, colour: string) {
  await store(file)
  const key = await groundOf(cloud.bucket, CUTOUT, colour, time)
  const ground = await cloud.bytes(key)
  await cloud.bucket.delete(key)
  return { ground, pixels: await sharp(ground).raw().toBuffer(), ...(await sharp(ground).metadata()) }
}
const hex = (colour: readonly number[]) => Buffer.from(colour).toString('hex')

const picture = fc
  .record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
    seed: fc.integer({ min: 1, max: 2 ** 30 }),
    ground: fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)),
    adaptiveFiltering: fc.boolean(),
  })
  .map(({ width, height, seed, ...how }) => {
    const data = Buffer.from(Array.from({ length: width * height * 4 }, (_, i) => (i * seed) >>> 7))
    return { raw: { width, height, channels: 4 as const }, data, ...how }
  })

describe('groundOf', () => {
  it('lays every pixel on the colour: round((c·a + g·(255 - a)) / 255), and so does sharp, within one', async () => {
    await fc.assert(
      fc.asyncProperty(picture, async ({ raw, data, ground, adaptiveFiltering }) => {
        const file = await sharp(data, { raw }).png({ adaptiveFiltering }).toBuffer()
        const [r, g, b] = ground
        const flat = await sharp(file).flatten({ background: { r, g, b } }).raw().toBuffer()
        const { pixels, channels, depth, width, height } = await laid(file, hex(ground))
        expect({ channels, depth, width, height }).toEqual({ ...raw, channels: 3, depth: 'uchar' })
        const exact = Buffer.alloc(pixels.length)
        for (let i = 0; i < exact.length; i++) {
          const [pixel, c] = [Math.floor(i / 3), i % 3]
          const a = data[4 * pixel + 3] ?? 0
          exact[i] = Math.round(((data[4 * pixel + c] ?? 0) * a + (ground[c] ?? 0) * (255 - a)) / 255)
        }
        expect(pixels.equals(exact)).toBe(true)
        expect(Math.max(...flat.map((value, i) => Math.abs(value - (exact[i] ?? 0))))).toBeLessThanOrEqual(1)
      }),
      { numRuns: 20 },
    )
  })

  it.each(['000102', '7f80ff'])('is exact for every colour and alpha on %s', async (colour) => {
    const row = (alpha: number) => Buffer.from([0, ...Array.from({ length: 256 }, (_, c) => [c, c, c, alpha]).flat()])
    const file = png(
      { width: 256, height: 256 },
      Array.from({ length: 256 }, (_, alpha) => row(alpha)),
    )
    const { pixels } = await laid(file, colour)
    const grounds = Buffer.from(colour, 'hex')
    const exact = pixels.map((_, i) => {
      const [a, c, g] = [Math.floor(i / 768), Math.floor(i / 3) % 256, grounds[i % 3] ?? 0]
      return Math.round((c * a + g * (255 - a)) / 255)
    })
    expect(pixels.equals(exact)).toBe(true)
  })

  it('is the colour itself where nothing shows, and the cutout itself where it is opaque', async () => {
    const file = png({ width: 2, height: 1 }, [Buffer.from([0, 9, 8, 7, 0, 9, 8, 7, 255])])
    const { pixels, hasAlpha, format } = await laid(file, 'f2ece4')
    expect([...pixels]).toEqual([0xf2, 0xec, 0xe4, 9, 8, 7])
    expect({ hasAlpha, format }).toEqual({ hasAlpha: false, format: 'png' })
  })

  it.each([
    [1, 40_000],
    [30_000, 1],
    [100, 300],
  ])('is a sound PNG of %i by %i', async (width, height) => {
    const data = Buffer.alloc(width * height * 4)
    for (let i = 0; i < data.length; i++) data[i] = (i * i) >> 9
    const { ground, pixels } = await laid(
      await sharp(data, { raw: { width, height, channels: 4 } })
        .png({ compressionLevel: 1 })
        .toBuffer(),
      'ffffff',
    )
    // It believes no checksum that is wrong.
    expect((await sharp(ground, { failOn: 'warning' }).raw().toBuffer()).equals(pixels)).toBe(true)
    const x = width - 1
    const last = ((height - 1) * width + x) * 4
    const [c = 0, a = 0] = [data[last], data[last + 3]]
    expect(pixels[pixels.length - 3]).toBe(Math.round((c * a + 255 * (255 - a)) / 255))
  })

  it('is stored once, as what it is, where ON_DELETE finds it; then it makes one HEAD', async () => {
    await store(png({ width: 1, height: 1 }, [Buffer.alloc(5)]))
    const first = await callsOf(cloud, () => groundOf(cloud.bucket, CUTOUT, 'f2ece4', time))
    expect(first.result).toBe(GROUND)
    expect(isCutout(GROUND)).toBe(true)
    expect(first.made).toEqual([
      `HeadObject /${GROUND}`,
      `GetObject /${CUTOUT}`,
      `PutObject /${GROUND}`,
      `HeadObject /${CUTOUT}`,
    ])
    expect((await cloud.bucket.head(GROUND))?.type).toBe('image/png')
    const again = await callsOf(cloud, () => groundOf(cloud.bucket, CUTOUT, 'f2ece4', time))
    expect(again).toEqual({ result: GROUND, made: [`HeadObject /${GROUND}`] })
  })

  it('of two at once has the same bytes', async () => {
    await store(
      await sharp({ create: { width: 300, height: 300, channels: 4, background: '#1234' } })
        .png()
        .toBuffer(),
    )
    await Promise.all([1, 2].map(() => groundOf(cloud.bucket, CUTOUT, 'f2ece4', time)))
    const one = await cloud.bytes(GROUND)
    await cloud.bucket.delete(GROUND)
    await groundOf(cloud.bucket, CUTOUT, 'f2ece4', time)
    expect((await cloud.bytes(GROUND)).equals(one)).toBe(true)
    const puts = cloud.cos
      .requests()
      .filter(({ operation, path }) => operation === 'PutObject' && path === `/${GROUND}`)
    expect(puts).toHaveLength(3)
  })

  it.each<[string, string, () => Promise<unknown>]>([
    ['is no PNG', 'no-view', () => store(Buffer.from('<Error/>'))],
    ['has fewer rows than it says', 'no-view', () => store(png({ width: 1, height: 2 }, [Buffer.alloc(5)]))],
    ['has more rows than it says', 'no-view', () => store(png({ width: 1, height: 1 }, [Buffer.alloc(10)]))],
    ['is there no more', 'changed', () => Promise.resolve()],
  ])('of a cutout that %s is %s, and nothing is stored', async (_, code, prepare) => {
    await prepare()
    await expect(groundOf(cloud.bucket, CUTOUT, 'f2ece4', time)).rejects.toMatchObject({ code })
    expect((await cloud.keys('')).filter((key) => key !== CUTOUT)).toEqual([])
  })

  it('attack: a small cutout whose ground would have more than 32 MiB is no-view', async () => {
    let state = 1
    const random = () => {
      state = Math.imul(state, 1_664_525) + 1_013_904_223
      return state >>> 24
    }
    const side = 3_400
    const noise = Buffer.from(Buffer.alloc((1 + side) * side).map(random))
    for (let y = 0; y < side; y++) noise[y * (1 + side)] = 0
    const palette = chunk('PLTE', Buffer.from(Buffer.alloc(768).map(random)))
    await store(png({ width: side, height: side, colour: 3 }, [noise], [palette], 0))
    await expect(groundOf(cloud.bucket, CUTOUT, 'f2ece4', time)).rejects.toMatchObject({ code: 'no-view' })
    expect(await cloud.keys('')).toEqual([CUTOUT])
  })

  it('that cannot be stored is an error', async () => {
    await store(png({ width: 1, height: 1 }, [Buffer.alloc(5)]))
    cloud.faults.set([{ on: 'PutObject', kind: 'error', code: 'AccessDenied' }])
    await expect(groundOf(cloud.bucket, CUTOUT, 'f2ece4', time)).rejects.toMatchObject({ code: 'denied' })
  })

  it('ends at the deadline, whatever is still to be read, and stores nothing', async () => {
    await store(
      png(
        { width: 1, height: 9 },
        Array.from({ length: 9 }, () => Buffer.alloc(5)),
      ),
    )
    let asked = 0
    const late = { now: () => asked++, deadline: 3 }
    await expect(groundOf(cloud.bucket, CUTOUT, 'f2ece4', late)).rejects.toMatchObject({ code: 'timeout' })
    expect(asked).toBe(4)
    expect(await cloud.keys('')).toEqual([CUTOUT])
  })
})
