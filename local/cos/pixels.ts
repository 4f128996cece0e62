import sharp, { type Sharp } from 'sharp'
import { notImplemented, Refusal } from './answer.ts'
import type { Format, Pipe, Processing, Step } from './mogr2.ts'
import { checkSize, MAX_IMAGE_BYTES, readSource, type Source, TYPES } from './picture.ts'
import type { Readings } from './readings.ts'

export interface Developed {
  bytes: Buffer
  type: string
  /** As the sample of persistent processing has them (product/460/18147). */
  info: { Format: string; Width: number; Height: number; Quality: number }
  /** Made by advanced compression. */
  advanced: boolean
}

/**
 * Works a picture up as its processing says.
 * @throws Refusal unless the processing ignores errors: then it is the source
 */
export async function develop(image: Buffer, processing: Processing, readings: Readings): Promise<Developed> {
  const source = await readSource(image)
  try {
    if (processing.pipes.length > 0) return await workUp(source, processing.pipes, readings)
  } catch (error) {
    const codes = ['ImageTooLarge', 'ImageResolutionExceed', 'InvalidArgument']
    if (!(processing.ignoresErrors && error instanceof Refusal && codes.includes(error.code))) throw error
  }
  const { format, width, height, quality = 100 } = source
  const info = { Format: format, Width: width, Height: height, Quality: quality }
  return { bytes: image, type: TYPES[format], info, advanced: false }
}

/** Pixels on their way from step to step. */
interface Picture {
  sharp: Sharp
  width: number
  height: number
  alpha: boolean
}

async function workUp(source: Source, pipes: readonly Pipe[], readings: Readings): Promise<Developed> {
  if (source.frames > 1) throw notImplemented('the processing of pictures with several frames')
  const format = pipes.reduce((before, pipe) => pipe.format ?? before, source.format)
  const advanced = format === 'avif' || pipes.some((pipe) => pipe.format === 'avif')
  if (advanced && !readings.advanced)
    throw new Refusal('NoProcessAuthority', 'Advanced image compression is not switched on for the bucket.')
  const upright = pipes.some(({ steps }) => steps.some(({ name }) => name === 'auto-orient'))
  try {
    let picture = open(source, upright)
    for (const pipe of pipes) {
      for (const step of pipe.steps) picture = await pixels(take(picture, step, pipe, readings))
      if (pipe.format === 'jpg' && picture.alpha) picture = await pixels(flat(picture, readings.jpg))
    }
    if (format === 'jpg' && picture.alpha) picture = await pixels(flat(picture, readings.jpg))
    checkSize(picture.width, picture.height, format)
    const progressive = pipes.some((pipe) => pipe.progressive)
    const quality = qualityOf(source, pipes)
    // What stands on its side in the source, and is not turned, still says so.
    const tagged =
      !upright && source.orientation > 1
        ? picture.sharp.withMetadata({ orientation: source.orientation })
        : picture.sharp
    const bytes = await encode(tagged, format, quality, progressive).toBuffer()
    if (bytes.length > MAX_IMAGE_BYTES) throw new Refusal('ImageTooLarge')
    const info = { Format: format, Width: picture.width, Height: picture.height, Quality: quality ?? 100 }
    return { bytes, type: TYPES[format], info, advanced }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('InvalidImageFormat')
  }
}

/** Colours of a screen, eight bits each. To turn it upright is done first, wherever it stands. */
function open({ image, width, height, alpha, orientation }: Source, upright: boolean): Picture {
  const opened = sharp(image, { failOn: 'error', limitInputPixels: false })
  const turned = upright && orientation > 4
  return {
    sharp: (upright ? opened.autoOrient() : opened).toColourspace('srgb'),
    width: turned ? height : width,
    height: turned ? width : height,
    alpha,
  }
}

/** Runs the work that is due: sharp has an order of its own for what is asked of it at once. */
async function pixels({ sharp: work, alpha }: Picture): Promise<Picture> {
  const { data, info } = await work.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  const { width, height, channels } = info
  return { sharp: sharp(data, { raw: { width, height, channels }, limitInputPixels: false }), width, height, alpha }
}

function flat(picture: Picture, background: string): Picture {
  return { ...picture, sharp: picture.sharp.flatten({ background }), alpha: false }
}

function take(picture: Picture, step: Step, pipe: Pipe, readings: Readings): Picture {
  const { sharp: work, width: w, height: h } = picture
  switch (step.name) {
    case 'thumbnail': {
      const [width, height] = step.to([w, h])
      checkSize(width, height)
      const small = work.resize(width, height, { fit: 'fill' })
      if (!pipe.pad || !step.box) return { ...picture, sharp: small, width, height }
      return pad({ ...picture, sharp: small, width, height }, step.box, pipe.pad, readings)
    }
    case 'cut': {
      const { width, height, x: left, y: top } = step
      if (left + width > w || top + height > h)
        throw new Refusal('InvalidArgument', 'The cut is not within the picture.')
      return { ...picture, sharp: work.extract({ left, top, width, height }), width, height }
    }
    case 'crop': {
      const { width = w, height = h } = step
      if (width > w || height > h) throw new Refusal('InvalidArgument', 'The crop is larger than the picture.')
      // "Scales down in proportion, then crops" (product/436/44881), where both sides are given.
      const scale = step.width && step.height ? Math.max(width / w, height / h) : 1
      const [nw, nh] = [Math.max(width, Math.round(w * scale)), Math.max(height, Math.round(h * scale))]
      const at = (room: number, low: string, high: string) =>
        pipe.gravity.includes(low) ? 0 : pipe.gravity.includes(high) ? room : Math.floor(room / 2)
      const [left, top] = [at(nw - width, 'west', 'east'), at(nh - height, 'north', 'south')]
      const covered = scale < 1 ? work.resize(nw, nh, { fit: 'fill' }) : work
      return { ...picture, sharp: covered.extract({ left, top, width, height }), width, height }
    }
    case 'auto-orient':
      return picture
    case 'rotate': {
      const [width, height] = step.angle % 180 === 0 ? [w, h] : [h, w]
      return { ...picture, sharp: work.rotate(step.angle), width, height }
    }
    case 'flip':
      return { ...picture, sharp: step.vertical ? work.flip() : work.flop() }
    case 'blur':
      return { ...picture, sharp: work.blur(Math.min(Math.max(step.sigma, 0.3), 1000)) }
    case 'sharpen':
      return { ...picture, sharp: work.sharpen({ sigma: 1, m2: step.amount / 35 }) }
  }
}

/** Fills what is blank around a picture in its box. */
function pad(picture: Picture, [width, height]: [number, number], background: string, { pad: how }: Readings): Picture {
  const { sharp: work, width: w, height: h } = picture
  const [left, top] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)]
  const edges = { left, top, right: width - w - left, bottom: height - h - top, background }
  if (how === 'keeps' || !picture.alpha) return { ...picture, sharp: work.extend(edges), width, height }
  return { ...flat({ ...picture, sharp: work.extend(edges) }, background), width, height }
}

/** The least of the source's and what is asked; `!` forces it (product/1246/109198). Undefined: nobody says. */
function qualityOf({ quality }: Source, pipes: readonly Pipe[]): number | undefined {
  return pipes.reduce<number | undefined>((before, { quality: asked }) => {
    if (!asked) return before
    return asked.forced || before === undefined ? asked.value : Math.min(before, asked.value)
  }, quality)
}

function encode(picture: Sharp, format: Format, asked: number | undefined, progressive: boolean): Sharp {
  // 0 is allowed, but the least that encoders know is 1.
  const quality = Math.max(1, asked ?? 75)
  switch (format) {
    case 'jpg':
      return picture.jpeg({ quality, progressive })
    case 'png':
      return picture.png()
    case 'webp':
      return picture.webp({ quality })
    case 'gif':
      return picture.gif()
    case 'tiff':
      return picture.tiff({ compression: 'lzw' })
    case 'avif':
      return picture.avif({ quality })
  }
}
