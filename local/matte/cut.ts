import sharp from 'sharp'
import { ImageError } from './error.ts'
import { bounds, draw, type Layout, type Picture, place } from './layout.ts'
import { mask } from './mask.ts'
import { refine } from './refine.ts'

const MAX_PIXELS = 50_000_000
const MAX_BYTES = 32 * 1024 * 1024
/** Long side of the picture in which product and backdrop are told apart; only the edges are worked out in full size. */
const WORK_SIZE = 512
const FORMATS = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif'])

/**
 * Cuts the product out, once, and encodes it in each layout.
 * @throws ImageError
 */
export async function cut(image: Uint8Array, layouts: Layout[]) {
  const picture = await decode(image)
  if (!isCutOut(picture)) await matte(picture)
  clear(picture)
  const product = bounds(picture)
  const cutouts = []
  for (const layout of layouts) {
    const { data, width, height } = draw(picture, place(picture, product, layout))
    const png = await sharp(data, { raw: { width, height, channels: 4 } })
      .png({ compressionLevel: 6 })
      .toBuffer()
    cutouts.push({ png, width, height, blank: product === undefined })
  }
  return cutouts
}

async function decode(image: Uint8Array): Promise<Picture> {
  if (image.length > MAX_BYTES) throw new ImageError('ImageTooLarge', `${image.length} bytes, at most ${MAX_BYTES}`)
  try {
    const source = sharp(image, { failOn: 'error', limitInputPixels: false })
    const { format, width, height } = await source.metadata()
    if (!FORMATS.has(format)) throw new ImageError('InvalidImageFormat', `${format} is not supported`)
    if (width * height > MAX_PIXELS) {
      throw new ImageError('ImageResolutionExceed', `${width}x${height}, at most ${MAX_PIXELS} pixels`)
    }
    const { data, info } = await source
      .autoOrient()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return { data, width: info.width, height: info.height }
  } catch (error) {
    if (error instanceof ImageError) throw error
    throw new ImageError('InvalidImageFormat', error instanceof Error ? error.message : String(error))
  }
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
