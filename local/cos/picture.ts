import sharp from 'sharp'
import { Refusal } from './answer.ts'
import { jpegQuality } from './info.ts'
import type { Format } from './mogr2.ts'

/** "Usage Limits" (product/460/36620): of sources and of results. */
export const MAX_IMAGE_BYTES = 32 * 1024 * 1024
const MAX_SIDE = 50_000
const MAX_WEBP_SIDE = 16_383
const MAX_PIXELS = 250_000_000

/** A picture that may be worked on; what sharp makes of its file, read. */
export interface Source {
  image: Buffer
  format: Format
  width: number
  height: number
  alpha: boolean
  frames: number
  /** Of a JPEG: of others it cannot be told. */
  quality?: number
  depth: number
  density?: number
  orientation: number
}

/** First bytes of JPEG, PNG, WebP, GIF, TIFF, AVIF. No library sees anything else: to know an SVG's size is to run it. */
const KNOWN = /^(?:\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP|GIF8[79]a|II[*+]\0|MM\0[*+]|.{4}ftyp)/s

const FORMATS: Record<string, Format> = {
  jpeg: 'jpg',
  png: 'png',
  webp: 'webp',
  gif: 'gif',
  tiff: 'tiff',
  heif: 'avif',
}
export const TYPES: Record<Format, string> = {
  jpg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
  tiff: 'image/tiff',
  avif: 'image/avif',
}

/** @throws Refusal before any pixel is decoded */
export async function readSource(image: Buffer): Promise<Source> {
  if (image.length > MAX_IMAGE_BYTES) throw new Refusal('ImageTooLarge')
  if (!KNOWN.test(image.toString('latin1', 0, 16))) throw new Refusal('InvalidImageFormat')
  const metadata = await sharp(image, { limitInputPixels: false }).metadata().catch(asRefusal)
  const { width, height, hasAlpha, pages = 1, depth, density, orientation = 1 } = metadata
  const format = FORMATS[metadata.format]
  if (!format) throw new Refusal('InvalidImageFormat')
  checkSize(width, height, format, pages)
  const quality = format === 'jpg' ? readQuality(image) : undefined
  return {
    image,
    format,
    width,
    height,
    alpha: hasAlpha,
    frames: pages,
    depth: depth === 'ushort' ? 16 : 8,
    orientation,
    ...(density !== undefined && { density }),
    ...(quality !== undefined && { quality }),
  }
}

/** @throws Refusal ImageResolutionExceed */
export function checkSize(width: number, height: number, format?: Format, frames = 1): void {
  const most = format === 'webp' ? MAX_WEBP_SIDE : MAX_SIDE
  if (Math.max(width, height) > most || width * height * frames > MAX_PIXELS) throw new Refusal('ImageResolutionExceed')
}

function readQuality(image: Buffer): number {
  try {
    return jpegQuality(image)
  } catch {
    return asRefusal()
  }
}

function asRefusal(): never {
  throw new Refusal('InvalidImageFormat')
}
