import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { cut } from '../local/matte/cut.ts'
import type { Likelihood } from '../local/matte/likelihood.ts'

const [width, height] = [300, 200]

const draw = (body: string, backdrop = '#fff') =>
  sharp(
    Buffer.from(
      `<svg width="${width}" height="${height}"><rect width="100%" height="100%" fill="${backdrop}"/>${body}</svg>`,
    ),
  ).removeAlpha()

/** Cuts a photo by what a network would see. */
async function cutBySeen(photo: Buffer, seen: Likelihood): Promise<(x: number, y: number) => number> {
  const [cutout] = await cut(
    photo,
    [{ center: false, dx: 0, dy: 0 }],
    () => {},
    async () => seen,
  )
  const alpha = await sharp(cutout?.png).extractChannel(3).raw().toBuffer()
  return (x, y) => alpha[y * width + x] ?? -1
}

/** Cuts it by a drawing in grey, in which white is surely product, on a grid that is so many times as coarse as the photo. */
async function cutBy(photo: Buffer, seen: string, { ground = '#000', coarse = 1 } = {}) {
  const size = { width: width / coarse, height: height / coarse }
  const drawn = await draw(seen, ground).png().toBuffer()
  const data = await sharp(drawn)
    .resize(size.width, size.height, { kernel: 'linear' })
    .extractChannel(0)
    .raw()
    .toBuffer()
  return cutBySeen(photo, { data, ...size })
}

const disc = (fill: string) => `<circle cx="150" cy="100" r="70" fill="${fill}"/>`
const half = (fill: string) => `<path d="M150 30a70 70 0 0 0 0 140z" fill="${fill}"/>`

describe('what a network sees', () => {
  it('is kept where it is unsure deep inside, though the colour there is the backdrop’s: a white toe on white', async () => {
    const alpha = await cutBy(
      await draw(disc('#c02020') + half('#fff'))
        .png()
        .toBuffer(),
      disc('#fff') + half('#a0a0a0'),
    )
    expect([alpha(100, 100), alpha(130, 60), alpha(200, 100), alpha(40, 100)]).toEqual([255, 255, 255, 0])
  })

  it('is judged by colour where it is unsure at the outline: fur stays, what lies between it goes', async () => {
    const hair = Array.from(
      { length: 9 },
      (_, i) => `<rect x="${200 + i * 8}" y="90" width="4" height="20" fill="#c02020"/>`,
    )
    const unsure = '<rect x="190" y="80" width="85" height="40" fill="#606060"/>'
    const alpha = await cutBy(
      await draw(disc('#c02020') + hair.join(''))
        .png()
        .toBuffer(),
      unsure + disc('#fff'),
    )
    expect([alpha(250, 100), alpha(246, 100), alpha(266, 100), alpha(262, 100)]).toEqual([255, 0, 255, 0])
  })

  it('is nothing where it is unsure of something by itself: a stain on the wall', async () => {
    const stain = (fill: string) => `<circle cx="30" cy="30" r="15" fill="${fill}"/>`
    const alpha = await cutBy(
      await draw(disc('#c02020') + stain('#c02020'))
        .png()
        .toBuffer(),
      disc('#fff') + stain('#707070'),
    )
    expect([alpha(30, 30), alpha(150, 100)]).toEqual([0, 255])
  })

  it('is kept at the outline where the backdrop is no plain one, so that its colour says nothing', async () => {
    const tiles = Array.from({ length: 600 }, (_, i) => {
      const [x, y] = [(i % 30) * 10, Math.floor(i / 30) * 10]
      return `<rect x="${x}" y="${y}" width="10" height="10" fill="${['#c02020', '#2020c0', '#20c020'][(i * 7 + (i >> 3)) % 3]}"/>`
    })
    const alpha = await cutBy(
      await draw(tiles.join('') + disc('#c02020'))
        .png()
        .toBuffer(),
      disc('#fff'),
      { coarse: 5 },
    )
    for (let angle = 0; angle < 360; angle += 5) {
      const at = (r: number) =>
        alpha(
          Math.round(150 + r * Math.cos((angle * Math.PI) / 180)),
          Math.round(100 + r * Math.sin((angle * Math.PI) / 180)),
        )
      expect([at(65) > 180, at(75) < 25], String(angle)).toEqual([true, true])
    }
  })

  it('may be all of the picture', async () => {
    const alpha = await cutBy(await draw('', '#c02020').png().toBuffer(), '', { ground: '#fff' })
    expect([alpha(0, 0), alpha(150, 100), alpha(299, 199)]).toEqual([255, 255, 255])
  })

  it('is not lost where its grid is finer than the mask, and what it sees has scratches', async () => {
    // The mask has one pixel for eight, and would look between the fourth and the fifth.
    const data = new Uint8Array(2400 * 1600)
    for (let i = 0; i < data.length; i++) {
      const [x, y] = [(i % 2400) / 8, Math.floor(i / 2400) / 8]
      if (Math.hypot(x - 150, y - 100) < 70 && ![3, 4].includes(i % 8)) data[i] = 255
    }
    const photo = await draw(disc('#c02020')).png().toBuffer()
    const alpha = await cutBySeen(photo, { data, width: 2400, height: 1600 })
    expect([alpha(150, 100), alpha(84, 100), alpha(70, 100)]).toEqual([255, 255, 0])
  })

  it('is kept just inside the outline where it is sure, though a patch there has the colour of the backdrop', async () => {
    const patch = '<rect x="78" y="92" width="7" height="16" fill="#fff"/>'
    const photo = draw(disc('#c02020') + patch).png()
    const alpha = await cutBy(await photo.toBuffer(), disc('#fff'), { coarse: 5 })
    expect(alpha(84, 100)).toBeGreaterThan(30)
  })
})
