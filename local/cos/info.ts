import sharp from 'sharp'
import { Refusal } from './answer.ts'

/** The ImageInfo of an answer to `is_pic_info: 1`, in the form of the sample in product/460/18147. */
export async function imageInfo(image: Buffer): Promise<object> {
  try {
    const { format, width, height, orientation } = await sharp(image).metadata()
    const Format = format.toUpperCase()
    const Ave = await averageColour(image)
    // It is not known what the vendor answers for a format that has no quality.
    const Quality = format === 'jpeg' ? jpegQuality(image) : 100
    return { Format, Width: width, Height: height, Quality, Ave, Orientation: orientation ?? 1 }
  } catch {
    throw new Refusal('InvalidImageFormat')
  }
}

/** `0xrrggbb` */
export async function averageColour(image: Buffer): Promise<string> {
  const { space } = await sharp(image).metadata()
  // sharp's statistics are those of the picture as stored, so CMYK and 16 bits are converted to sRGB first.
  const plain = /^(srgb|b-w)$/.test(space)
  const { channels } = await sharp(plain ? image : await sharp(image).toColourspace('srgb').png().toBuffer()).stats()
  const grey = channels.length < 3
  const average = (grey ? [0, 0, 0] : [0, 1, 2]).map((i) => Math.round(channels[i]?.mean ?? 0))
  return `0x${Buffer.from(average).toString('hex')}`
}

/** The luminance table of ITU-T T.81, Annex K, in the zigzag order of a file. Encoders scale it by the quality. */
const LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
  60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121,
  112, 100, 120, 92, 101, 103, 99,
]

/**
 * The quality whose table is closest to the picture's. For encoders that scale like libjpeg, it is the one they were given.
 * @throws RangeError if there is no table
 */
export function jpegQuality(image: Buffer): number {
  const table = quantisation(image)
  const distances = Array.from({ length: 100 }, (_, i) => {
    const quality = i + 1
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - quality * 2
    const entry = (base: number) => Math.min(Math.max(Math.floor((base * scale + 50) / 100), 1), 255)
    return LUMINANCE.reduce((sum, base, k) => sum + Math.abs(entry(base) - (table[k] ?? 0)), 0)
  })
  return distances.indexOf(Math.min(...distances)) + 1
}

/** The first quantisation table of a JPEG. Its DQT segment stands before the first scan. */
function quantisation(image: Buffer): number[] {
  let at = 2
  while (image.readUInt8(at) === 0xff) {
    const [marker, length] = [image.readUInt8(at + 1), image.readUInt16BE(at + 2)]
    if (marker === 0xdb) {
      const wide = image.readUInt8(at + 4) >> 4 === 1
      return LUMINANCE.map((_, k) => (wide ? image.readUInt16BE(at + 5 + 2 * k) : image.readUInt8(at + 5 + k)))
    }
    at += 2 + length
  }
  throw new RangeError('no DQT segment')
}
