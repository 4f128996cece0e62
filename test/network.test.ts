import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startCloud } from '../local/cloud.ts'
import type { Layout } from '../local/layout.ts'
import { cut as cutOut } from '../local/matte/cut.ts'
import { createMatte } from '../local/matte/matte.ts'
import { type Model, type ModelPreset, PRESETS } from '../local/matte/model.ts'
import { openNetwork } from '../local/matte/network.ts'
import { openBucket } from './helpers/cloud.ts'
import { hasRuntime, network, type Wanted } from './helpers/onnx.ts'

const PLAIN: Layout = { center: false, dx: 0, dy: 0 }
/** White is 1, black is -1. */
const EVEN = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], output: 'probability' } as const

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'network-'))
})

/** A network in a file of its own. */
async function file(wanted: Wanted | string = {}, name = 'net.onnx'): Promise<string> {
  const path = join(await mkdtemp(join(dir, 'one-')), name)
  await writeFile(path, typeof wanted === 'string' ? wanted : network(wanted))
  return path
}

const [width, height] = [600, 400]
const SHAPES =
  '<rect x="170" y="100" width="210" height="190"/><circle cx="470" cy="170" r="60"/><path d="M40 370l40-150 40 150z"/>'

function draw(colour: string, backdrop: string) {
  const svg = `<svg width="${width}" height="${height}"><rect width="100%" height="100%" fill="${backdrop}"/><g fill="${colour}">${SHAPES}</g></svg>`
  return sharp(Buffer.from(svg))
}
const photo = (colour = '#b02020') =>
  draw(colour, '#fff').removeAlpha().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer()

/** How far from the truth the alpha of a PNG is: the sum over its pixels, each 0 to 1. */
async function wrong(png: Buffer): Promise<number> {
  const truth = await draw('#000', 'none').extractChannel(3).raw().toBuffer()
  const alpha = await alphaOf(png)
  expect(alpha.length).toBe(truth.length)
  return alpha.reduce((sum, value, i) => sum + Math.abs(value - (truth[i] ?? 0)), 0) / 255
}
const presets = Object.keys(PRESETS).filter((name): name is ModelPreset => name in PRESETS)
/** What a preset makes of white. */
function white(name: ModelPreset): number[] {
  const { mean, std } = PRESETS[name]
  return mean.map((middle, c) => (1 - middle) / (std[c] ?? 1))
}
const alphaOf = (png: Buffer) => sharp(png).ensureAlpha().extractChannel(3).raw().toBuffer()

/** Cuts one photo out by a network. */
async function cut(model: Model, image?: Buffer) {
  const { see } = await openNetwork(model, () => 0)
  const [cutout] = await cutOut(image ?? (await photo()), [PLAIN], () => {}, see)
  return { png: Buffer.from(cutout?.png ?? []), blank: cutout?.blank ?? false }
}

/** Less than a twentieth of what is wrong with the best that a network of 64 x 64 pixels could say, enlarged. */
async function small(): Promise<number> {
  const raw = { width, height, channels: 1 } as const
  const fill = { fit: 'fill', kernel: 'linear' } as const
  const truth = await draw('#000', 'none').extractChannel(3).raw().toBuffer()
  const grid = await sharp(truth, { raw }).resize(64, 64, fill).extractChannel(0).raw().toBuffer()
  const alpha = await sharp(grid, { raw: { width: 64, height: 64, channels: 1 } })
    .resize(width, height, fill)
    .extractChannel(0)
    .raw()
    .toBuffer()
  const png = await sharp({ create: { width, height, channels: 3, background: '#000' } })
    .joinChannel(alpha, { raw })
    .png()
    .toBuffer()
  return (await wrong(png)) / 20
}

describe.skipIf(!hasRuntime)('a network', () => {
  it('of 64 pixels cuts out at full size what is put into a bucket; it is paid once, and GET /api/place tells of it', async () => {
    const model = { file: await file(), ...EVEN }
    const cloud = await startCloud({ port: 0, data: join(dir, 'cloud'), model })
    onTestFinished(() => cloud.close())
    const { bucket, keys, bytes } = openBucket(cloud)
    await bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
    await cloud.scf.idle()
    const posts = cloud.cos.requests().filter(({ method, path }) => method === 'POST' && path.includes('image_process'))
    expect([posts.map(({ status }) => status), cloud.cos.bill().length]).toEqual([[200], 1])
    const png = await bytes((await keys('cutouts/'))[0] ?? '')
    expect(await wrong(png)).toBeLessThan(await small())
    // Nothing of the backdrop is left in the rim.
    const over = await sharp(png).flatten({ background: '#f0f' }).raw().toBuffer()
    const truth = await draw('#b02020', '#f0f').removeAlpha().raw().toBuffer()
    const sum = over.reduce((all, value, i) => all + Math.abs(value - (truth[i] ?? 0)), 0)
    expect(sum / over.length).toBeLessThan(0.5)
    const place: unknown = await (await fetch(`${cloud.controlUrl}/api/place`)).json()
    expect(Object(place).engine).toMatch(
      /^net\.onnx at 64x64, by onnxruntime-(web|node) \d+\.\d+\.\d+: \d+\.\d s a picture$/,
    )
  })

  it.each([
    ['of any size', { shape: ['n', 3, 'height', 'width'] }, { ...EVEN, size: { width: 96, height: 64 } }],
    ['finer than the mask', { shape: [1, 3, 'height', 'width'] }, { ...EVEN, size: { width: 640, height: 512 } }],
    ['that answers before its sigmoid', { sigmoid: false }, { ...EVEN, output: 'sigmoid' }],
    ['that answers 0 to 255', { factor: 255 }, { ...EVEN, output: 'min-max' }],
    ['that is never sure', { factor: 0.6 }, { ...EVEN, output: 'min-max' }],
    // White is there what the preset makes of it.
    ['of U²-Net’s form, which needs no preset', { shape: [1, 3, 320, 320], outputs: 7, white: white('u2net') }, {}],
  ] as const)('%s', async (_, wanted, model) => {
    expect(await wrong((await cut({ file: await file(wanted), ...model })).png)).toBeLessThan(await small())
  })

  it('cuts one picture after another, for a network may take gigabytes in each thread', async () => {
    const matte = createMatte({ model: { file: await file(), ...EVEN } })
    onTestFinished(() => matte.close())
    await matte.engine()
    const image = await photo('#f0f0f0')
    const order: string[] = []
    const work = Array.from({ length: 4 }, async (_, n) => {
      await matte.cut(image, [PLAIN], (stage) => stage === 'decode' && order.push(`${n} begins`))
      order.push(`${n} ends`)
    })
    await Promise.all(work)
    expect(order).toEqual(work.flatMap((_, n) => [`${n} begins`, `${n} ends`]))
  })

  it.each(presets)('is given its picture as preset %s says, and no other', async (name) => {
    const path = await file({ white: white(name) })
    const image = await photo('#888')
    const { mean, std } = PRESETS[name]
    for (const preset of presets) {
      const model = { file: path, preset, output: 'probability' } as const
      const { png } = await cut(model, image)
      if (`${white(preset)}` === `${white(name)}`) expect(await wrong(png)).toBeLessThan(await small())
      else expect(await wrong(png)).toBeGreaterThan(10_000)
      // An option takes the place of what the preset says.
      expect(await wrong((await cut({ ...model, mean, std }, image)).png)).toBeLessThan(await small())
    }
  })

  it('is given red, green and blue, in this order', async () => {
    for (const [plane, colour, other] of [
      [0, '#8ff', '#f88'],
      [1, '#f8f', '#8f8'],
      [2, '#ff8', '#88f'],
    ] as const) {
      const path = await file({ share: [0, 1, 2].map((one) => (one === plane ? 1 : 0)) })
      expect(await wrong((await cut({ file: path, ...EVEN }, await photo(colour))).png)).toBeLessThan(await small())
      expect(await cut({ file: path, ...EVEN }, await photo(other))).toMatchObject({ blank: true })
    }
  })

  it.each([
    ['its file says', { shape: [1, 3, 48, 64] }, {}, 'at 64x48'],
    ['its preset says, if the file says nothing', { shape: [1, 3, 'height', 'width'] }, {}, 'at 320x320'],
    ['is asked for', { shape: [1, 3, 'height', 'width'] }, { size: { width: 96, height: 64 } }, 'at 96x64'],
  ] as const)('is given pictures of the size that %s', async (_, wanted, more, text) => {
    const { name } = await openNetwork({ file: await file(wanted), preset: 'u2net', ...more }, () => 0)
    expect(name).toContain(text)
  })

  it('that sees nothing makes a blank cutout, also if its answer is to be stretched', async () => {
    const white = await draw('#fff', '#fff').removeAlpha().jpeg().toBuffer()
    expect(await cut({ file: await file(), ...EVEN }, white)).toMatchObject({ blank: true })
    const unsure = await file({ factor: 0.4 })
    expect(await cut({ file: unsure, ...EVEN, output: 'min-max' })).toMatchObject({ blank: true })
  })

  it('is not asked about a picture that was cut out before', async () => {
    const image = await draw('#ddd', 'none').png().toBuffer()
    const { png } = await cut({ file: await file(), ...EVEN }, image)
    expect((await alphaOf(png)).equals(await alphaOf(image))).toBe(true)
  })

  it.each([
    ['has two inputs', { inputs: 2 }, EVEN, 'net.onnx has 2 inputs (picture, picture1), expected one'],
    [
      'takes its planes last',
      { shape: [1, 64, 64, 3] },
      EVEN,
      'net.onnx: the input float32 [1,64,64,3] is not understood, expected float32 [1,3,height,width]',
    ],
    [
      'takes two pictures',
      { shape: [2, 3, 64, 64] },
      EVEN,
      'net.onnx: the input float32 [2,3,64,64] is not understood, expected float32 [1,3,height,width]',
    ],
    [
      'takes numbers of 16 bits',
      { type: 'float16', shape: [1, 3, 'height', 'width'] },
      EVEN,
      'net.onnx: the input float16 [1,3,height,width] is not understood, expected float32 [1,3,height,width]',
    ],
    [
      'answers more than a mask',
      { planes: 2 },
      EVEN,
      'net.onnx: the output float32 [1,2,64,64] is not one mask, expected float32 [1,1,height,width]',
    ],
    [
      'answers a list',
      { flat: true },
      EVEN,
      'net.onnx: the output float32 [1,4096] is not one mask, expected float32 [1,1,height,width]',
    ],
    [
      'is given too little about',
      {},
      { mean: EVEN.mean },
      'net.onnx does not say what it expects: --model-preset isnet|u2net|birefnet, or --model-std, --model-output',
    ],
    [
      'takes any size, and is given none',
      { shape: [1, 3, 'height', 'width'] },
      EVEN,
      'net.onnx takes pictures of any size: say with --model-size which it is to be given',
    ],
    [
      'takes another size',
      {},
      { ...EVEN, size: { width: 64, height: 96 } },
      '--model-size: net.onnx takes pictures of 64x64 only',
    ],
    ['is something else', 'version https://git-lfs.github.com/spec/v1', EVEN, 'net.onnx is not an ONNX model'],
    ['is empty', '', EVEN, 'net.onnx is not an ONNX model'],
  ] as const)('that %s is refused', async (_, wanted, model, line) => {
    await expect(openNetwork({ file: await file(wanted), ...model }, () => 0)).rejects.toThrow(new Error(line))
  })

  it('that is not there is refused before anything listens, by each cut too', async () => {
    const model = { file: join(dir, 'none.onnx'), ...EVEN }
    const line = `There is no file ${model.file}`
    const data = join(dir, 'refused')
    await expect(startCloud({ port: 0, data, model })).rejects.toThrow(new Error(line))
    expect(await readdir(data)).toEqual([])
    const matte = createMatte({ model })
    onTestFinished(() => matte.close())
    await expect(matte.cut(await photo(), [PLAIN])).rejects.toThrow(new Error(line))
  })
})
