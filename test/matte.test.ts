import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { bounds, draw, type Layout, type Picture, place } from '../local/matte/layout.ts'
import { type Cutout, createMatte, ImageError } from '../local/matte/matte.ts'
import { createPool } from '../local/matte/pool.ts'

const PLAIN: Layout = { center: false, dx: 0, dy: 0 }
const matte = createMatte()
afterAll(() => matte.close())

async function cut(image: Buffer, layout = PLAIN): Promise<Picture & { blank: boolean }> {
  const [cutout] = await matte.cut(image, [layout])
  return { ...(await pixelsOf(cutout)), blank: cutout?.blank ?? false }
}

async function pixelsOf(cutout: Cutout | undefined): Promise<Picture> {
  const meta = await sharp(cutout?.png).metadata()
  expect([meta.format, meta.channels, meta.depth, meta.space]).toEqual(['png', 4, 'uchar', 'srgb'])
  expect([meta.width, meta.height]).toEqual([cutout?.width, cutout?.height])
  const data = await sharp(cutout?.png).raw().toBuffer()
  return { data, width: meta.width, height: meta.height }
}

const alphaAt = ({ data, width }: Picture, x: number, y: number) => data[(y * width + x) * 4 + 3]

/** A picture of `body` (SVG) on a plain backdrop, 300x200, unless told otherwise. */
function scene(body: string, backdrop = '#dfe6ee', [width, height] = [300, 200]) {
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="${backdrop}"/>${body}</svg>`,
    ),
  ).removeAlpha()
}
const disc = (x: number, y: number, fill = '#b02020') => `<circle cx="${x}" cy="${y}" r="40" fill="${fill}"/>`

describe('the rim', () => {
  it.each([
    ['red on white', '#b02020', '#ffffff'],
    ['black on green', '#181818', '#60c060'],
    ['white on blue', '#f8f8f8', '#3060c0'],
  ])('carries nothing of the backdrop: %s', async (_, product, backdrop) => {
    const shape = `<g filter="url(#f)"><circle cx="300" cy="200" r="120" fill="${product}"/></g><filter id="f"><feGaussianBlur stdDeviation="1.2"/></filter>`
    const got = await cut(await scene(shape, backdrop, [600, 400]).jpeg({ quality: 95 }).toBuffer())
    const over = (image: Picture) =>
      sharp(image.data, { raw: { width: 600, height: 400, channels: 4 } })
        .flatten({ background: '#f0f' })
        .raw()
        .toBuffer()
    const seen = await over(got)
    const truth = await scene(shape, '#f0f', [600, 400]).raw().toBuffer()
    let worst = 0
    let sum = 0
    let n = 0
    for (let i = 0; i < got.width * got.height; i++) {
      const x = i % 600
      const reach = Math.hypot(x - 300, (i - x) / 600 - 200) - 120
      if (Math.abs(reach) > 6) continue
      for (let c = 0; c < 3; c++) {
        const off = Math.abs((seen[i * 3 + c] ?? 0) - (truth[i * 3 + c] ?? 0))
        worst = Math.max(worst, off)
        sum += off
        n++
      }
    }
    expect(sum / n).toBeLessThan(8)
    expect(worst).toBeLessThan(80)
  })
})

describe('a photo without a product', () => {
  it.each(['#ffffff', '#777777'])('gives a transparent picture of the same size: %s', async (backdrop) => {
    const got = await cut(await scene('', backdrop).jpeg().toBuffer(), { center: true, dx: 3, dy: 5 })
    expect([got.width, got.height, got.blank]).toEqual([306, 210, true])
    expect(got.data.every((v) => v === 0)).toBe(true)
  })

  it('nor does dust make one', async () => {
    const dust = '<circle cx="60" cy="60" r="1" fill="#444"/><circle cx="200" cy="90" r="1" fill="#444"/>'
    expect((await cut(await scene(dust).png().toBuffer())).blank).toBe(true)
  })
})

describe('parts', () => {
  it('keeps all that belong to the product, also where it leaves the picture', async () => {
    const got = await cut(
      await scene(`${disc(80, 100)}${disc(200, 190, '#205080')}`)
        .png()
        .toBuffer(),
    )
    expect([alphaAt(got, 80, 100), alphaAt(got, 200, 199), alphaAt(got, 140, 100), alphaAt(got, 20, 190)]).toEqual([
      255, 255, 0, 0,
    ])
  })
})

describe('input', () => {
  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)('reads %s', async (format) => {
    const got = await cut(await scene(disc(150, 100)).toFormat(format).toBuffer())
    expect([got.width, got.height, alphaAt(got, 150, 100), alphaAt(got, 10, 10)]).toEqual([300, 200, 255, 0])
  })

  it('reads 16-bit, grey and CMYK pictures', async () => {
    const source = scene(disc(150, 100, '#202020'), '#ffffff')
    for (const image of [
      source.clone().toColourspace('rgb16').png(),
      source.clone().greyscale().png(),
      source.clone().toColourspace('cmyk').jpeg(),
    ]) {
      const got = await cut(await image.toBuffer())
      expect([alphaAt(got, 150, 100), alphaAt(got, 10, 10)]).toEqual([255, 0])
    }
  })

  it('applies the EXIF orientation', async () => {
    const got = await cut(await scene(disc(60, 100)).withMetadata({ orientation: 6 }).jpeg().toBuffer())
    expect([got.width, got.height]).toEqual([200, 300])
    expect([alphaAt(got, 100, 60), alphaAt(got, 100, 240)]).toEqual([255, 0])
  })

  it('keeps transparency that is there already', async () => {
    const half = scene(disc(150, 100)).ensureAlpha(0.5).png()
    expect(alphaAt(await cut(await half.toBuffer()), 150, 100)).toBe(127)
    const done = await sharp({ create: { width: 300, height: 200, channels: 4, background: '#0000' } })
      .composite([
        {
          input: Buffer.from(
            `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">${disc(150, 100, '#fff')}</svg>`,
          ),
        },
      ])
      .png()
      .toBuffer()
    const got = await cut(done)
    expect([alphaAt(got, 150, 100), alphaAt(got, 10, 10)]).toEqual([255, 0])
  })

  it('refuses what is no picture, or only a part of one', async () => {
    const jpeg = await scene(disc(150, 100)).jpeg().toBuffer()
    const png = await scene(disc(150, 100)).png().toBuffer()
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>')
    const bad = [
      Buffer.alloc(0),
      Buffer.from('not a picture'),
      svg,
      jpeg.subarray(0, jpeg.length >> 1),
      png.subarray(0, png.length >> 1),
    ]
    for (const image of bad) {
      const error = await matte.cut(image, [PLAIN]).catch((error: unknown) => error)
      expect(error).toBeInstanceOf(ImageError)
      expect(error).toMatchObject({ code: 'InvalidImageFormat' })
    }
  })

  it('refuses a picture of too many pixels by its header', async () => {
    const jpeg = await scene(disc(150, 100)).jpeg().toBuffer()
    const header = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
    jpeg.writeUInt16BE(7100, header + 5)
    jpeg.writeUInt16BE(7100, header + 7)
    await expect(matte.cut(jpeg, [PLAIN])).rejects.toMatchObject({ code: 'ImageResolutionExceed' })
  })

  it('refuses a file of too many bytes', async () => {
    await expect(matte.cut(Buffer.alloc(33 * 1024 * 1024), [PLAIN])).rejects.toMatchObject({ code: 'ImageTooLarge' })
  })
})

describe('layouts', () => {
  it('are all made of one matting, in the order asked for', async () => {
    const image = await scene(disc(60, 60)).png().toBuffer()
    const cutouts = await matte.cut(image, [PLAIN, { center: true, dx: 0, dy: 0 }, { center: true, dx: 20, dy: 10 }])
    const [plain, centred, padded] = await Promise.all(cutouts.map(pixelsOf))
    if (!plain || !centred || !padded) throw new Error('three expected')
    expect([plain.width, centred.width, padded.width, padded.height]).toEqual([300, 300, 340, 220])
    const box = bounds(plain)
    expect(bounds(centred)).toEqual({ ...box, left: 110, top: 60 })
    expect(bounds(padded)).toEqual({ ...box, left: 130, top: 70 })
  })

  const picture = fc
    .record({ width: fc.integer({ min: 1, max: 12 }), height: fc.integer({ min: 1, max: 12 }) })
    .chain(({ width, height }) =>
      fc
        .array(fc.constantFrom(0, 0, 0, 5, 9, 255), { minLength: width * height, maxLength: width * height })
        .map((alpha) => ({
          width,
          height,
          data: Uint8Array.from(alpha.flatMap((a, i) => [a && i, a && 1, a && 2, a])),
        })),
    )
  const layout = fc.record({
    center: fc.boolean(),
    dx: fc.integer({ min: 0, max: 5 }),
    dy: fc.integer({ min: 0, max: 5 }),
  })

  it('move the product unscaled to the centre and add exactly the padding', () => {
    fc.assert(
      fc.property(picture, layout, (source, layout) => {
        const box = bounds(source)
        const made = draw(source, place(source, box, layout))
        expect([made.width, made.height]).toEqual([source.width + 2 * layout.dx, source.height + 2 * layout.dy])
        expect(made.data.length).toBe(made.width * made.height * 4)
        const now = bounds(made)
        expect(now && [now.width, now.height]).toEqual(box && [box.width, box.height])
        if (!box || !now) return
        if (layout.center) {
          const right = made.width - now.left - now.width
          const bottom = made.height - now.top - now.height
          expect([right - now.left, bottom - now.top].every((v) => v === 0 || v === 1)).toBe(true)
        } else expect([now.left, now.top]).toEqual([box.left + layout.dx, box.top + layout.dy])
        const rows = (p: Picture, b: typeof box) =>
          Array.from({ length: b.height }, (_, y) => {
            const start = ((b.top + y) * p.width + b.left) * 4
            return [...p.data.subarray(start, start + b.width * 4)]
          })
        expect(rows(made, now)).toEqual(rows(source, box))
      }),
    )
  })
})

describe('the pool', () => {
  const script = (body: string) =>
    new URL(`data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'\n${body}`)}`)

  it('does two jobs at once, and no more', async () => {
    const one = await scene(disc(60, 100)).png().toBuffer()
    const two = await scene(disc(240, 100)).png().toBuffer()
    const got = await Promise.all([one, two, one, two, one].map((image) => cut(image)))
    expect(got.map((g) => alphaAt(g, 60, 100))).toEqual([255, 0, 255, 0, 255])

    // Each says that it has begun, and is done when it is told so.
    const pool = createPool<SharedArrayBuffer, string>(
      script(
        'parentPort.on("message", (shared) => { const job = new Int32Array(shared); job[0] = 1; Atomics.wait(job, 1, 0); parentPort.postMessage("done") })',
      ),
      2,
    )
    const jobs = [0, 1, 2].map(() => new Int32Array(new SharedArrayBuffer(8)))
    const finish = (job: Int32Array | undefined) => job && Atomics.store(job, 1, 1) && Atomics.notify(job, 1)
    const begun = () => jobs.map((job) => job[0])
    const results = jobs.map((job) => pool.run(job.buffer))
    await expect.poll(begun).toEqual([1, 1, 0])
    finish(jobs[1])
    expect(await results[1]).toBe('done')
    await expect.poll(begun).toEqual([1, 1, 1])
    for (const job of jobs) finish(job)
    expect(await Promise.all(results)).toEqual(['done', 'done', 'done'])
    await pool.close()
  })

  it('rejects the job a worker dies of, and goes on with a new one', async () => {
    const pool = createPool<string, string>(
      script(
        'parentPort.on("message", (word) => word === "die" ? process.exit(1) : word === "throw" ? undefined.x : parentPort.postMessage(word))',
      ),
      1,
    )
    const jobs = ['a', 'die', 'b', 'throw', 'c'].map((word) => pool.run(word))
    const results = await Promise.allSettled(jobs)
    expect(results.map((r) => (r.status === 'fulfilled' ? r.value : 'rejected'))).toEqual([
      'a',
      'rejected',
      'b',
      'rejected',
      'c',
    ])
    await pool.close()
  })

  it('rejects what is under way or waiting when it is closed, and what comes later', async () => {
    const pool = createPool<string, string>(script('parentPort.on("message", () => {})'), 1)
    const jobs = [pool.run('a'), pool.run('b')]
    const settled = Promise.allSettled(jobs)
    await pool.close()
    expect((await settled).map((r) => r.status)).toEqual(['rejected', 'rejected'])
    await expect(pool.run('c')).rejects.toThrow('closed')
  })

  it('lets the process end when idle', async () => {
    const code = `import { createMatte } from './local/matte/matte.ts'
      const layouts = [{ center: false, dx: 0, dy: 0 }]
      const image = Buffer.from('${(await scene(disc(150, 100)).png().toBuffer()).toString('base64')}', 'base64')
      console.log((await createMatte().cut(image, layouts)).length)`
    const args = ['--import', 'tsx', '--input-type=module', '-e', code]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
    expect(stdout.trim()).toBe('1')
  })
})
