import sharp from 'sharp'
import type { Matte } from '../../local/matte/matte.ts'
import { photo } from './cloud.ts'

/** A PNG of one pixel. */
export const dot = (alpha: number) =>
  sharp({ create: { width: 1, height: 1, channels: 4, background: { r: 200, g: 0, b: 0, alpha } } })
    .png()
    .toBuffer()

/** An engine that takes no time, for tests of many photos. What `photoOf('blank')` made has no product. */
export const trivial: Matte = {
  async cut(image, layouts) {
    const blank = image.includes('blank')
    const png = await dot(blank ? 0 : 1)
    return layouts.map(() => ({ png: Buffer.from(png), width: 1, height: 1, blank }))
  },
  engine: async () => 'trivial',
  async close() {},
}

/** A small photo that no other name makes. */
export async function photoOf(name: string): Promise<Buffer> {
  return Buffer.concat([await photo(), Buffer.from(name)])
}
