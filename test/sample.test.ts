import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import type { Picture } from '../local/matte/layout.ts'
import { drawSample, SAMPLES, type SampleName } from '../local/sample.ts'
import { matte } from './helpers/cloud.ts'
import { sample } from './helpers/samples.ts'

async function cut(image: Buffer): Promise<Picture & { blank: boolean }> {
  const [{ png, width, height, blank } = { png: Buffer.alloc(0), width: 0, height: 0, blank: true }] = await matte.cut(
    image,
    [{ center: false, dx: 0, dy: 0 }],
  )
  return { data: await sharp(png).raw().toBuffer(), width, height, blank }
}

const alphaAt = ({ data, width }: Picture, x: number, y: number) => data[(y * width + x) * 4 + 3]

/** Points of a sample: backdrop seen through the product, shadow beside it, the product itself. */
const POINTS: Record<SampleName, { clear: [number, number][]; solid: [number, number][] }> = {
  mug: {
    clear: [
      [860, 560],
      [800, 900],
      [530, 905],
      [380, 905],
    ],
    solid: [
      [520, 500],
      [470, 690],
      [975, 560],
      [460, 330],
    ],
  },
  ring: {
    clear: [
      [545, 640],
      [498, 345],
      [592, 345],
      [700, 915],
      [560, 935],
    ],
    solid: [
      [280, 640],
      [545, 220],
      [800, 640],
      [545, 900],
    ],
  },
  bottle: {
    clear: [
      [800, 1096],
      [500, 1112],
      [340, 300],
    ],
    solid: [
      [500, 220],
      [400, 800],
      [600, 1050],
      [345, 700],
    ],
  },
  vase: {
    clear: [
      [800, 1046],
      [515, 1052],
      [521, 1054],
      [516, 1057],
      [580, 1059],
      [550, 1066],
      [380, 350],
    ],
    solid: [
      [440, 620],
      [550, 400],
      [600, 800],
      [560, 1010],
      [500, 715],
    ],
  },
}

// One stands for all: the same few lines draw them.
it('a sample is the same bytes each time', async () => {
  const [once, again] = [await sample('ring'), await drawSample('ring')]
  expect(again.jpeg.equals(once.jpeg) && again.alpha.equals(once.alpha)).toBe(true)
})

describe.each(SAMPLES)('the sample %s', (name) => {
  const work = (async () => {
    const drawn = await sample(name)
    const want = await sharp(drawn.alpha).toColourspace('b-w').raw().toBuffer()
    const got = await cut(drawn.jpeg)
    return {
      drawn,
      want,
      got,
      alphas: await sharp(got.data, { raw: { ...got, channels: 4 } })
        .extractChannel(3)
        .raw()
        .toBuffer(),
    }
  })()

  it('is a picture of about a megapixel with the true alpha of the same size', async () => {
    const { drawn, want } = await work
    const { jpeg, alpha } = drawn
    const photo = await sharp(jpeg).metadata()
    const truth = await sharp(alpha).metadata()
    expect([photo.format, truth.format, truth.channels, truth.depth]).toEqual(['jpeg', 'png', 1, 'uchar'])
    expect([truth.width, truth.height]).toEqual([photo.width, photo.height])
    const covered = want.reduce((sum, a) => sum + a / 255, 0) / want.length
    expect(covered).toBeGreaterThan(0.08)
    expect(covered).toBeLessThan(0.6)
    expect(want.subarray(0, photo.width).every((a) => a === 0)).toBe(true)
  })

  it('is cut out as drawn', async () => {
    const { got, want, alphas } = await work
    let both = 0
    let either = 0
    let off = 0
    alphas.forEach((a, i) => {
      const b = want[i] ?? 0
      if (a > 127 && b > 127) both++
      if (a > 127 || b > 127) either++
      off += Math.abs(a - b) / 255
    })
    expect(got.blank).toBe(false)
    expect(both / either).toBeGreaterThan(0.985)
    expect(off / want.length).toBeLessThan(0.003)
  })

  it('keeps no shadow and no backdrop in its holes, and loses no highlight', async () => {
    const { got } = await work
    const { clear, solid } = POINTS[name]
    expect(clear.map(([x, y]) => alphaAt(got, x, y))).toEqual(clear.map(() => 0))
    expect(solid.map(([x, y]) => alphaAt(got, x, y))).toEqual(solid.map(() => 255))
  })

  it('has soft edges, and no colour where it is transparent', async () => {
    const { got, alphas } = await work
    const soft = alphas.filter((a) => a > 0 && a < 255).length
    expect(soft).toBeGreaterThan(1000)
    expect(soft).toBeLessThan(0.03 * got.width * got.height)
    for (let i = 0; i < got.data.length; i += 4) {
      if (got.data[i + 3] === 0 && (got.data[i] || got.data[i + 1] || got.data[i + 2]))
        expect.fail(`colour at ${i / 4}`)
    }
  })
})
