import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { drawSample, SAMPLES } from '../local/sample.ts'

describe.each(SAMPLES)('sample %s', (name) => {
  it('is a picture of about a megapixel with the true alpha of the same size, the same bytes each time', async () => {
    const [{ jpeg, alpha }, again] = await Promise.all([drawSample(name), drawSample(name)])
    expect(again.jpeg.equals(jpeg) && again.alpha.equals(alpha)).toBe(true)
    const photo = await sharp(jpeg).metadata()
    const truth = await sharp(alpha).metadata()
    expect([photo.format, truth.format, truth.channels, truth.depth]).toEqual(['jpeg', 'png', 1, 'uchar'])
    expect([truth.width, truth.height]).toEqual([photo.width, photo.height])
    const pixels = await sharp(alpha).toColourspace('b-w').raw().toBuffer()
    const covered = pixels.reduce((sum, a) => sum + a / 255, 0) / pixels.length
    expect(covered).toBeGreaterThan(0.08)
    expect(covered).toBeLessThan(0.6)
    expect(pixels.subarray(0, photo.width).every((a) => a === 0)).toBe(true)
  })
})
