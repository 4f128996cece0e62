import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Layout } from '../local/layout.ts'
import { bounds, draw, type Picture, place } from '../local/matte/layout.ts'
import { type Cutout, createMatte, ImageError } from '../local/matte/matte.ts'
import { createPool } from '../local/matte/pool.ts'
import { codeOf, startTestCloud } from './helpers/cloud.ts'
import { element, startLab } from './helpers/cos.ts'

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

  it('refuses a file of too many bytes', async () => {
    await expect(matte.cut(Buffer.alloc(33 * 1024 * 1024), [PLAIN])).rejects.toMatchObject({ code: 'ImageTooLarge' })
  })
})

/** A PNG that says it is so large, in its first bytes; what comes after them is that of a small one. */
async function claiming(width: number, height: number): Promise<Buffer> {
  const png = await scene('').png().toBuffer()
  png.writeUInt32BE(width, 16)
  png.writeUInt32BE(height, 20)
  // The chunk's CRC-32: gzip ends with one, and with a length.
  png.writeUInt32BE(gzipSync(png.subarray(12, 29)).readUInt32LE(gzipSync(png.subarray(12, 29)).length - 8), 29)
  return png
}

/** A grey JPEG of 64x64 pixels that goes through all of them `count` times and once more, for 25 bytes each time. */
function scanned(count: number): Buffer {
  const segment = (marker: number, ...data: number[]) => [0xff, marker, 0, data.length + 2, ...data]
  const table = (kind: number) => segment(0xc4, kind, 1, ...Array(15).fill(0), 0)
  const scan = (from: number, to: number) => [...segment(0xda, 1, 1, 0, from, to, 0), ...Array(8).fill(0)]
  return Buffer.from([
    ...[0xff, 0xd8, ...segment(0xdb, 0, ...Array(64).fill(1)), ...segment(0xc2, 8, 0, 64, 0, 64, 1, 1, 0x11, 0)],
    ...[...table(0), ...table(0x10), ...scan(0, 0), ...Array(count).fill(scan(1, 63)).flat(), 0xff, 0xd9],
  ])
}

describe('what would cost much more than its size is refused by its first bytes', () => {
  const refuse = (image: Buffer, code: string, ...layouts: Layout[]) =>
    expect(matte.cut(image, [PLAIN, ...layouts])).rejects.toMatchObject({ code, name: 'ImageError' })

  it.each([
    [1, 50_000_000],
    [50_000_000, 1],
    [1, 50_001],
    [50_001, 1],
    [7_100, 7_100],
  ])('a picture of %i x %i pixels', async (width, height) => {
    await refuse(await claiming(width, height), 'ImageResolutionExceed')
  })

  it.each([
    [1, 49_999, 0, 1],
    [49_999, 1, 1, 0],
    [100, 49_000, 1000, 0],
    [7_000, 7_000, 1000, 1000, 'may be'],
    [20_000, 2_500, 1000, 1000, 'may be'],
  ])('a picture of %i x %i pixels with %i x %i around it', async (width, height, dx, dy, fine = '') => {
    // One that may be goes on to be decoded, and has not the pixels that it says.
    const code = fine ? 'InvalidImageFormat' : 'ImageResolutionExceed'
    await refuse(await claiming(width, height), code, { center: true, dx, dy })
  })

  it('though thin ones are cut out', async () => {
    const image = await sharp({ create: { width: 1, height: 49_998, channels: 3, background: '#dfe6ee' } })
      .png()
      .toBuffer()
    const [cutout] = await matte.cut(image, [{ center: false, dx: 0, dy: 1 }])
    expect(cutout).toMatchObject({ width: 1, height: 50_000, blank: true })
  })

  it('an AVIF of more than 25 megapixels', async () => {
    const avif = await scene('').avif().toBuffer()
    avif.writeUInt32BE(5001, avif.indexOf('ispe') + 8)
    avif.writeUInt32BE(5000, avif.indexOf('ispe') + 12)
    await refuse(avif, 'ImageResolutionExceed')
    avif.writeUInt32BE(5000, avif.indexOf('ispe') + 8)
    await refuse(avif, 'InvalidImageFormat')
  })

  it('a progressive JPEG that goes through its pixels again and again', async () => {
    expect(await cut(scanned(99))).toMatchObject({ width: 64, height: 64 })
    await refuse(scanned(100), 'ImageTooLarge')
  })

  it('an SVG, of which not even the header is looked at', async () => {
    const more = Array.from({ length: 4 }, (_, i) => `<g id="a${i + 1}">${`<use href="#a${i}"/>`.repeat(10)}</g>`)
    const svg = `<svg xmlns="http://www.w3.org/2000/svg"><g id="a0"><path d="M0 0h1v1"/></g>${more.join('')}</svg>`
    for (const text of [svg, `<?xml version="1.0"?>${svg}`, `<!--GIF89a-->${svg}`]) {
      const error = await matte.cut(Buffer.from(text), [PLAIN]).catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'InvalidImageFormat', message: 'not a known format' })
    }
  })

  it('a TIFF of five channels', async () => {
    const [bits, pixels] = [110, 120]
    // Tag, type (3: 16 bits, 4: 32 bits), how many, value or where it is.
    const tags = [
      [256, 4, 1, 30],
      [257, 4, 1, 20],
      [258, 3, 5, bits],
      [262, 3, 1, 2],
      [273, 4, 1, pixels],
      [277, 3, 1, 5],
      [279, 4, 1, 30 * 20 * 5],
      [338, 3, 2, 0],
    ] as const
    const image = Buffer.alloc(pixels + 30 * 20 * 5)
    image.write('II*\0\x08\0\0\0\x08', 'latin1')
    for (const [i, [tag, type, count, value]] of tags.entries()) {
      image.writeUInt16LE(tag, 10 + 12 * i)
      image.writeUInt16LE(type, 12 + 12 * i)
      image.writeUInt32LE(count, 14 + 12 * i)
      image.writeUInt32LE(value, 18 + 12 * i)
    }
    for (let i = 0; i < 5; i++) image.writeUInt16LE(8, bits + 2 * i)
    expect((await sharp(image).metadata()).channels).toBe(5)
    await refuse(image, 'InvalidImageFormat')
  })

  it('and costs nothing, by any method', async () => {
    const lab = await startLab({ cut: (image, layouts) => matte.cut(image, layouts) })
    const image = await claiming(1, 50_000_000)
    await lab.put('thin.png', image)
    const rules = [{ fileid: '/a.png', rule: 'ci-process=GoodsMatting' }]
    const headers = { 'Pic-Operations': JSON.stringify({ is_pic_info: 1, rules }) }
    const replies = [
      await lab.send('GET', 'thin.png', { query: { 'ci-process': 'GoodsMatting' } }),
      await lab.send('PUT', 'again.png', { headers, body: image }),
      await lab.send('POST', 'thin.png', { query: { image_process: '' }, headers }),
      // Also where nothing is to be cut out, only told about.
      await lab.send('POST', 'thin.png', {
        query: { image_process: '' },
        headers: { 'Pic-Operations': JSON.stringify({ is_pic_info: 1, rules: [] }) },
      }),
    ]
    for (const reply of replies) expect([reply.status, element(reply, 'Code')]).toEqual([400, 'ImageResolutionExceed'])
    expect([lab.bill(), (await lab.send('HEAD', 'a.png')).status]).toEqual([[], 404])
  })

  it('which the functions call too-large', async () => {
    const cloud = await startTestCloud()
    onTestFinished(() => cloud.close())
    await cloud.upload('uploads/thin.png', await claiming(1, 50_000_000))
    const answer = await cloud.image('/plain/uploads/thin.png')
    expect([answer.status, codeOf(answer), cloud.cos.bill()]).toEqual([422, 'too-large', []])
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

  it('move the product unscaled to the centre and add exactly the padding', async () => {
    await fc.assert(
      fc.asyncProperty(picture, layout, async (source, layout) => {
        const box = bounds(source)
        const { data, info } = await draw(source, place(source, box, layout))
          .raw()
          .toBuffer({ resolveWithObject: true })
        const made = { data, width: info.width, height: info.height }
        expect([made.width, made.height]).toEqual([source.width + 2 * layout.dx, source.height + 2 * layout.dy])
        expect(made.data.length).toBe(made.width * made.height * 4)
        expect(made.data.every((value, i) => value === 0 || made.data[i | 3] !== 0)).toBe(true)
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

it('tells the stages of its work as they begin', async () => {
  const stages: string[] = []
  await matte.cut(await scene(disc(150, 100)).png().toBuffer(), [PLAIN], (stage) => stages.push(stage))
  expect(stages).toEqual(['decode', 'mask', 'refine', 'encode'])
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
