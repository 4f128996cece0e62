import sharp from 'sharp'
import type { Layout } from '../layout.ts'
import { ImageError } from './error.ts'
import { bounds, draw, type Picture, place } from './layout.ts'
import { type Likelihood, maskOf } from './likelihood.ts'
import { mask } from './mask.ts'
import { refine } from './refine.ts'

const MAX_PIXELS = 50_000_000
/** The decoder of AVIF keeps several copies of a picture in memory. */
const MAX_AVIF_PIXELS = 25_000_000
/**
 * For a photo and for a cutout, as in the vendor's basic image processing (product/460/36620): each row costs time, however
 * thin.
 */
const MAX_SIDE = 50_000
/** Padding can make a huge cutout of a small photo. The largest photo needs no more than this. */
const MAX_CUTOUT_PIXELS = 100_000_000
const MAX_BYTES = 32 * 1024 * 1024
/** Each scan of a progressive JPEG may cost only fifty bytes, but passes over all pixels. Encoders write about ten scans. */
const MAX_SCANS = 100
/** The long side of the picture in which product and backdrop are told apart. Only the edges are computed in full size. */
const WORK_SIZE = 448
/**
 * The first bytes of JPEG, PNG, WebP, GIF, TIFF and AVIF. Nothing else reaches the library, which renders an SVG to learn its
 * size.
 */
const KNOWN = /^(?:\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP|GIF8[79]a|II[*+]\0|MM\0[*+]|.{4}ftyp)/s

/** What is being done to a picture. A large one takes seconds, for somebody to watch. */
export type Stage = 'decode' | 'mask' | 'refine' | 'encode'

/** What tells product from backdrop in place of the own engine. */
export type See = (picture: Picture) => Promise<Likelihood>

/**
 * Cuts the product out, once, and encodes it in each layout. `tell` is told each stage as it begins.
 * @throws ImageError
 */
export async function cut(image: Uint8Array, layouts: Layout[], tell: (stage: Stage) => void = () => {}, see?: See) {
  tell('decode')
  const picture = await decode(image, layouts)
  if (layouts.length === 0) return []
  if (!isCutOut(picture)) await matte(picture, tell, see)
  tell('encode')
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
    // All sizes are checked before any pixel is decoded.
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
  // The data of a scan never holds FF DA. Other segments may hold it by chance, or because they hold a thumbnail.
  let scans = 0
  for (let at = image.indexOf('ffda', 'hex'); at >= 0; at = image.indexOf('ffda', at + 2, 'hex')) scans++
  if (scans > MAX_SCANS) throw new ImageError('ImageTooLarge', `${scans} scans, at most ${MAX_SCANS}`)
}

function checkSize({ width, height }: { width: number; height: number }, most: number): void {
  if (Math.max(width, height) > MAX_SIDE || width * height > most)
    throw new ImageError('ImageResolutionExceed', `${width}x${height}, at most ${MAX_SIDE} a side, ${most} pixels`)
}

/** A source with a transparent border was cut out before. It has no backdrop to model, so its alpha is kept. */
function isCutOut({ data, width, height }: Picture): boolean {
  let clear = 0
  const count = (x: number, y: number) => {
    if ((data[(y * width + x) * 4 + 3] ?? 0) < 8) clear++
  }
  for (let x = 0; x < width; x++) for (const y of [0, height - 1]) count(x, y)
  for (let y = 0; y < height; y++) for (const x of [0, width - 1]) count(x, y)
  return clear > width + height
}

async function matte(picture: Picture, tell: (stage: Stage) => void, see?: See): Promise<void> {
  tell('mask')
  const { data, width, height } = picture
  const { data: small, info } = await sharp(data, { raw: { width, height, channels: 4 } })
    .resize(WORK_SIZE, WORK_SIZE, { fit: 'inside', withoutEnlargement: true, kernel: 'linear' })
    .flatten({ background: '#fff' })
    .raw()
    .toBuffer({ resolveWithObject: true })
  const reduced = { data: small, width: info.width, height: info.height }
  const found = see ? await maskOf(reduced, await see(picture)) : mask(reduced)
  tell('refine')
  refine(picture, found)
}

/**
 * Clears the colours of transparent pixels: files are smaller, and the backdrop does not reappear if somebody drops the
 * alpha.
 */
function clear({ data }: Picture): void {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] !== 0) continue
    data[i] = 0
    data[i + 1] = 0
    data[i + 2] = 0
  }
}
