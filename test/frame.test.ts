import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cutoutKey, frameKey } from '../lib/cutout.ts'
import { frameOf } from '../lib/frame.ts'
import { plain } from '../lib/layout.ts'
import { callsOf, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { png } from './helpers/png.ts'

const CUTOUT = cutoutKey('cutouts/', { key: 'uploads/mug.jpg', etag: '0123456789abcdef0123456789abcdef' }, plain)
const RECORD = frameKey(CUTOUT)
const time = { now: Date.now, deadline: Number.POSITIVE_INFINITY }

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())

const store = (file: Buffer) => cloud.bucket.put(CUTOUT, file, { type: 'image/png' })

const picture = fc
  .record({
    width: fc.integer({ min: 1, max: 30 }),
    height: fc.integer({ min: 1, max: 30 }),
    /** Where something shows, and how much. */
    dots: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(1, 15, 16, 255), fc.nat(255))), { maxLength: 4 }),
    adaptiveFiltering: fc.boolean(),
    sixteen: fc.boolean(),
  })
  .map(({ width, height, dots, ...how }) => {
    const data = Buffer.alloc(width * height * 4, 77)
    for (let i = 3; i < data.length; i += 4) data[i] = 0
    for (const [place, alpha] of dots) data[(place % (width * height)) * 4 + 3] = alpha
    return { width, height, data, ...how }
  })

/** The smallest box around all pixels with an alpha of at least 16. */
function boxOf({ width, height, data }: { width: number; height: number; data: Buffer }) {
  const seen = Array.from({ length: width * height }, (_, i) => i).filter((i) => (data[4 * i + 3] ?? 0) >= 16)
  if (seen.length === 0) return { x: 0, y: 0, width, height }
  const [xs, ys] = [seen.map((i) => i % width), seen.map((i) => Math.floor(i / width))]
  const [x, y] = [Math.min(...xs), Math.min(...ys)]
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 }
}

describe('frameOf', () => {
  it('is the smallest box around all that is seen, and is kept', async () => {
    await fc.assert(
      fc.asyncProperty(picture, async ({ width, height, data, adaptiveFiltering, sixteen }) => {
        await cloud.bucket.delete(RECORD)
        const image = sharp(data, { raw: { width, height, channels: 4 } }).png({ adaptiveFiltering })
        await store(await (sixteen ? image.toColourspace('rgb16') : image).toBuffer())
        const frame = await frameOf(cloud.bucket, CUTOUT, time)
        expect(frame).toEqual({ ...boxOf({ width, height, data }), of: [width, height] })
        expect(JSON.parse((await cloud.bytes(RECORD)).toString())).toEqual(frame)
      }),
      { numRuns: 20 },
    )
  })

  it('of a cutout without transparency is the whole picture', async () => {
    await store(
      await sharp({ create: { width: 7, height: 5, channels: 3, background: '#000' } })
        .png()
        .toBuffer(),
    )
    const whole = { x: 0, y: 0, width: 7, height: 5, of: [7, 5] }
    expect(await frameOf(cloud.bucket, CUTOUT, time)).toEqual(whole)
  })

  it('reads the cutout once; then it makes one GET, of the record', async () => {
    await store(png({ width: 2, height: 1 }, [Buffer.from([0, 1, 2, 3, 0, 1, 2, 3, 255])]))
    const path = (key: string) => `GetObject /${key}`
    const first = await callsOf(cloud, () => frameOf(cloud.bucket, CUTOUT, time))
    expect(first.made).toEqual([path(RECORD), path(CUTOUT), `PutObject /${RECORD}`, `HeadObject /${CUTOUT}`])
    const again = await callsOf(cloud, () => frameOf(cloud.bucket, CUTOUT, time))
    expect(again.made).toEqual([path(RECORD)])
    expect(again.result).toEqual(first.result)
    expect(first.result).toEqual({ x: 1, y: 0, width: 1, height: 1, of: [2, 1] })
  })

  it('of two at once is the same, and stays', async () => {
    await store(png({ width: 1, height: 1 }, [Buffer.alloc(5)]))
    const [one, other] = await Promise.all([1, 2].map(() => frameOf(cloud.bucket, CUTOUT, time)))
    expect(one).toEqual(other)
    expect(await frameOf(cloud.bucket, CUTOUT, time)).toEqual(one)
  })

  it.each([
    ['no JSON', '<a>'],
    ['nothing', 'null'],
    ['a list', '[0,0,1,1]'],
    ['a text for a number', '{"x":"0","y":0,"width":1,"height":1,"of":[2,1]}'],
    ['half a pixel', '{"x":0.5,"y":0,"width":1,"height":1,"of":[2,1]}'],
    ['a box of nothing', '{"x":0,"y":0,"width":0,"height":1,"of":[2,1]}'],
    ['a flat box', '{"x":0,"y":0,"width":1,"height":0,"of":[2,1]}'],
    ['a box on the left', '{"x":-1,"y":0,"width":2,"height":1,"of":[2,1]}'],
    ['a box that is too wide', '{"x":1,"y":0,"width":2,"height":1,"of":[2,1]}'],
    ['a box that is too high', '{"x":0,"y":0,"width":2,"height":2,"of":[2,1]}'],
    ['no size', '{"x":0,"y":0,"width":1,"height":1}'],
    ['half a size', '{"x":0,"y":0,"width":1,"height":1,"of":[2]}'],
    ['more than a size', '{"x":0,"y":0,"width":1,"height":1,"of":[2,1,1]}'],
  ])('is made anew where the record holds %s', async (_, text) => {
    await store(png({ width: 2, height: 1 }, [Buffer.from([0, 1, 2, 3, 0, 1, 2, 3, 255])]))
    await cloud.bucket.put(RECORD, text, { type: 'application/json' })
    const frame = { x: 1, y: 0, width: 1, height: 1, of: [2, 1] }
    expect(await frameOf(cloud.bucket, CUTOUT, time)).toEqual(frame)
    expect(JSON.parse((await cloud.bytes(RECORD)).toString())).toEqual(frame)
  })

  it('takes from a record no more than it should', async () => {
    const frame = { x: 0, y: 0, width: 1, height: 1, of: [2, 1] }
    await cloud.bucket.put(RECORD, JSON.stringify({ ...frame, more: 1 }), { type: 'application/json' })
    expect(await frameOf(cloud.bucket, CUTOUT, time)).toEqual(frame)
  })

  it('is told also where it cannot be kept', async () => {
    await store(png({ width: 1, height: 1 }, [Buffer.alloc(5)]))
    cloud.faults.set([{ on: 'PutObject', kind: 'error', code: 'AccessDenied' }])
    expect(await frameOf(cloud.bucket, CUTOUT, time)).toMatchObject({ of: [1, 1] })
    cloud.faults.set([])
    expect(await cloud.keys(RECORD)).toEqual([])
  })

  it.each<[string, string, () => Promise<unknown>]>([
    ['is no PNG', 'no-view', () => store(Buffer.from('<Error/>'))],
    ['breaks off', 'no-view', () => store(png({ width: 1, height: 2 }, [Buffer.alloc(5)]))],
    ['is there no more', 'changed', () => Promise.resolve()],
  ])('of a cutout that %s is %s, and nothing is noted', async (_, code, prepare) => {
    await prepare()
    await expect(frameOf(cloud.bucket, CUTOUT, time)).rejects.toMatchObject({ code })
    expect(await cloud.keys('.matting/')).toEqual([])
  })

  it('attack: a cutout of more than 32 MiB costs one call for its start, and no pixel is read', async () => {
    const file = png({ width: 1, height: 1 }, [Buffer.alloc(5)])
    await store(Buffer.concat([file, Buffer.alloc(32 * 1024 * 1024 - file.length + 1)]))
    const { made, result } = await callsOf(cloud, () =>
      frameOf(cloud.bucket, CUTOUT, time).catch((error: unknown) => error),
    )
    expect(result).toMatchObject({ code: 'no-view', status: 422, retryable: false, about: 'request' })
    expect(made).toEqual([`GetObject /${RECORD}`, `GetObject /${CUTOUT}`])
  })

  it('ends at the deadline, whatever is still to be read', async () => {
    await store(
      png(
        { width: 1, height: 9 },
        Array.from({ length: 9 }, () => Buffer.alloc(5)),
      ),
    )
    let asked = 0
    const time = { now: () => asked++, deadline: 3 }
    await expect(frameOf(cloud.bucket, CUTOUT, time)).rejects.toMatchObject({ code: 'timeout' })
    expect(asked).toBe(4)
    expect(await cloud.keys('.matting/')).toEqual([])
  })
})
