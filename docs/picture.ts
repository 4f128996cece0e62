// Makes the picture of the README from the samples: npx tsx docs/picture.ts
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { createMatte } from '../local/matte/matte.ts'
import { drawSample, SAMPLES } from '../local/sample.ts'

const TILE = 300
const COLOURS = ['#2f6f5e', '#c8553d', '#f2b134', '#32507a']

const matte = createMatte()
const tiles = await Promise.all(
  SAMPLES.map(async (name, i) => {
    const { jpeg } = await drawSample(name)
    const [cutout] = await matte.cut(jpeg, [{ center: true, dx: 0, dy: 0 }])
    const photo = await sharp(jpeg).resize(TILE, TILE, { fit: 'cover' }).toBuffer()
    const product = await sharp(cutout?.png).resize(TILE, TILE, { fit: 'cover' }).toBuffer()
    const ground = await sharp(product)
      .flatten({ background: COLOURS[i] ?? '#888' })
      .toBuffer()
    return [
      { input: photo, left: i * TILE, top: 0 },
      { input: ground, left: i * TILE, top: TILE },
    ]
  }),
)
await matte.close()
await sharp({ create: { width: TILE * SAMPLES.length, height: 2 * TILE, channels: 3, background: '#fff' } })
  .composite(tiles.flat())
  .png({ palette: true, quality: 90 })
  .toFile(fileURLToPath(new URL('cutouts.png', import.meta.url)))
