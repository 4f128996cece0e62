import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { matte, photo } from './helpers/cloud.ts'
import { type Kind, scenes } from './matte/scenes.ts'
import { score } from './matte/score.ts'

async function alphaOf(image: Buffer): Promise<Buffer> {
  const [cutout] = await matte.cut(image, [{ center: false, dx: 0, dy: 0 }])
  return sharp(cutout?.png).extractChannel('alpha').raw().toBuffer()
}

/** What shops photograph, one small scene of each kind; `npm run bench` has all. Each is a little below what was measured. */
const FLOORS: [kind: Kind, which: number, iou: number, size?: [number, number]][] = [
  ['studio white', 1, 0.97],
  ['white on white', 3, 0.96],
  ['label', 3, 0.95],
  ['label', 4, 0.97, [900, 900]],
  ['border', 1, 0.98],
  ['holes', 3, 0.92],
  ['holes', 5, 0.66],
  ['thin', 1, 0.91],
  ['horizon', 3, 0.96],
  ['mirror', 2, 0.97],
  ['dark', 1, 0.97],
  ['phone', 2, 0.97],
  ['shadow', 2, 0.92],
]

describe('a drawn scene is cut out about as drawn', () => {
  it.each(FLOORS)('%s %i', async (kind, which, floor, size = [360, 320]) => {
    const scene = scenes('tune').filter((one) => one.kind === kind)[which]
    const drawn = await scene?.draw(size)
    if (!drawn) throw new Error('no such scene')
    const { iou } = score(await alphaOf(drawn.photo), drawn.alpha, drawn.width, drawn.height)
    expect(iou).toBeGreaterThan(floor)
  })
})

it('the smallest photo of these tests has clear corners and its whole product', async () => {
  const alpha = await alphaOf(await photo())
  expect([0, 59, 49 * 60, 3000 - 1].map((i) => alpha[i])).toEqual([0, 0, 0, 0])
  let [covered, off] = [0, 0]
  alpha.forEach((a, i) => {
    const inside = Math.hypot((i % 60) + 0.5 - 25, Math.floor(i / 60) + 0.5 - 22) < 13
    covered += a / 255
    if (inside !== a > 127) off++
  })
  expect(covered).toBeGreaterThan(500)
  expect(off).toBeLessThan(20)
})
