import sharp from 'sharp'
import type { Layout } from '../layout.ts'
import { ImageError } from './error.ts'
import { bounds, draw, type Picture, place } from './layout.ts'
import { mask } from './mask.ts'
import { refine } from './refine.ts'

const MAX_PIXELS = 50_000_000
/** The decoder of AVIF holds a picture several times over. */
const MAX_AVIF_PIXELS = 25_000_000
/** Of a photo and of a cutout, as in the vendor's basic image processing (product/460/36620): thin pictures cost by the row. */
const MAX_SIDE = 50_000
/** Padding makes much of little: no more than a photo as large as it may be can need. */
const MAX_CUTOUT_PIXELS = 100_000_000
const MAX_BYTES = 32 * 1024 * 1024
/** A progressive JPEG can have all its pixels gone through again for fifty bytes more; encoders write about ten scans. */
const MAX_SCANS = 100
/** Long side of the picture in which product and backdrop are told apart; only the edges are worked out in full size. */
const WORK_SIZE = 512
/** First bytes of JPEG, PNG, WebP, GIF, TIFF, AVIF. No library sees anything else: to know an SVG's size is to run it. */
const KNOWN = /^(?:\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP|GIF8[79]a|II[*+]\0|MM\0[*+]|.{4}ftyp)/s

/**
 * Cuts the product out, once, and encodes it in each layout.
 * @throws ImageError
 */
export async function cut(image: Uint8Array, layouts: Layout[]) {
  const picture = await decode(image, layouts)
  if (layouts.length === 0) return []
  if (!isCutOut(picture)) await matte(picture)
  clear(picture)
  const product = bounds(picture)
  const cutouts = []
  for (const layout of layouts) {
    const at = place(picture, product, layout)
    const { data: png } = await draw(picture, at).png({ compressionLevel: 6 }).toUint8Array()
    cutouts.push({ png, width: at.width, height: at.height, blank: product === undefined })
  }
  return cutouts
}

async function decode(image: Uint8Array, layouts: Layout[]): Promise<Picture> {
  checkBytes(Buffer.from(image.buffer, image.byteOffset, image.length))
  try {
    const source = sharp(image, { failOn: 'error', limitInputPixels: false })
    const { format, autoOrient } = await source.metadata()
    // All of it before any pixel is decoded.
    checkSize(autoOrient, format === 'heif' ? MAX_AVIF_PIXELS : MAX_PIXELS)
    for (const layout of layouts) checkSize(place(autoOrient, undefined, layout), MAX_CUTOUT_PIXELS)
    const { data, info } = await source
      .autoOrient()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels !== 4) throw new ImageError('InvalidImageFormat', `${info.channels} channels`)
    return { data, width: info.width, height: info.height }
  } catch (error) {
    if (error instanceof ImageError) throw error
    throw new ImageError('InvalidImageFormat', error instanceof Error ? error.message : String(error))
  }
}

function checkBytes(image: Buffer): void {
  if (image.length > MAX_BYTES) throw new ImageError('ImageTooLarge', `${image.length} bytes, at most ${MAX_BYTES}`)
  if (!KNOWN.test(image.toString('latin1', 0, 16))) throw new ImageError('InvalidImageFormat', 'not a known format')
  if (image[0] !== 0xff) return
  // Within a scan no byte FF stands before DA. Other parts may hold one by chance, or a small picture of their own.
  let scans = 0
  for (let at = image.indexOf('ffda', 'hex'); at >= 0; at = image.indexOf('ffda', at + 2, 'hex')) scans++
  if (scans > MAX_SCANS) throw new ImageError('ImageTooLarge', `${scans} scans, at most ${MAX_SCANS}`)
}

function checkSize({ width, height }: { width: number; height: number }, most: number): void {
  if (Math.max(width, height) > MAX_SIDE || width * height > most)
    throw new ImageError('ImageResolutionExceed', `${width}x${height}, at most ${MAX_SIDE} a side, ${most} pixels`)
}

/** A source with a transparent border has been cut out before: there is no backdrop to go by, its alpha stands. */
function isCutOut({ data, width, height }: Picture): boolean {
  let clear = 0
  const count = (x: number, y: number) => {
    if ((data[(y * width + x) * 4 + 3] ?? 0) < 8) clear++
  }
  for (let x = 0; x < width; x++) for (const y of [0, height - 1]) count(x, y)
  for (let y = 0; y < height; y++) for (const x of [0, width - 1]) count(x, y)
  return clear > width + height
}

async function matte(picture: Picture): Promise<void> {
  const { data, width, height } = picture
  const { data: small, info } = await sharp(data, { raw: { width, height, channels: 4 } })
    .resize(WORK_SIZE, WORK_SIZE, { fit: 'inside', withoutEnlargement: true, kernel: 'linear' })
    .flatten({ background: '#fff' })
    .raw()
    .toBuffer({ resolveWithObject: true })
  refine(picture, mask({ data: small, width: info.width, height: info.height }))
}

/** What shines through nowhere must not carry the photo along: smaller files, and no backdrop for who drops the alpha. */
function clear({ data }: Picture): void {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 0) data.fill(0, i, i + 3)
  }
}
