import { notImplemented, Refusal } from './answer.ts'

/** Basic image processing as its text says, pipe by pipe. */
export interface Processing {
  text: string
  pipes: Pipe[]
  /** Gives the source back when it is too large, or a parameter is out of range (product/1045/40716). */
  ignoresErrors: boolean
}

/** What stands between two `|`. */
export interface Pipe {
  /** In the order of the text. */
  steps: Step[]
  gravity: Gravity
  /** Colour, `#rrggbb`, of what a thumbnail leaves blank in its box. */
  pad?: string
  format?: Format
  quality?: { value: number; forced: boolean }
  progressive: boolean
}

export type Format = 'jpg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif'
type Size = [width: number, height: number]

export type Step =
  | { name: 'thumbnail'; to: (from: Size) => Size; box?: Size }
  | { name: 'cut'; width: number; height: number; x: number; y: number }
  | { name: 'crop'; width?: number; height?: number }
  | { name: 'auto-orient' }
  | { name: 'rotate'; angle: number }
  | { name: 'flip'; vertical: boolean }
  | { name: 'blur'; sigma: number }
  | { name: 'sharpen'; amount: number }

/** "Pipeline Operators" (product/1159/44894). */
const MAX_PIPES = 10
/** "Usage Limits" (product/460/36620): more counts as this. */
const MAX_PARAMETER = 10_000
/** The pages disagree: white on product/1045/33713, grey elsewhere. */
const PAD_COLOUR = '#ffffff'

const GRAVITIES = [
  'northwest',
  'north',
  'northeast',
  'west',
  'center',
  'east',
  'southwest',
  'south',
  'southeast',
] as const
type Gravity = (typeof GRAVITIES)[number]

const FORMATS: Record<string, Format> = {
  jpg: 'jpg',
  jpeg: 'jpg',
  png: 'png',
  webp: 'webp',
  gif: 'gif',
  tiff: 'tiff',
  avif: 'avif',
}
/** Further ones of product/436/44883 and of older editions of it. */
const OTHER_FORMATS = ['bmp', 'apng', 'heif', 'heic', 'tpg', 'psd', 'svg', 'yjpeg']

/**
 * Reads `imageMogr2/<operation>/<value>…|imageMogr2/…`. Each pipe begins with the interface's name.
 * @throws Refusal InvalidArgument, or NotImplemented with the name of what is left out
 */
export function readProcessing(text: string): Processing {
  const ignoresErrors = /\/ignore-error\/1(?=[/|]|$)/.test(text)
  try {
    const parts = text.split('|')
    if (parts.length > MAX_PIPES) throw invalid(`more than ${MAX_PIPES} pipes`)
    return { text, pipes: parts.map(readPipe), ignoresErrors }
  } catch (error) {
    if (!(ignoresErrors && error instanceof Refusal && error.code === 'InvalidArgument')) throw error
    return { text, pipes: [], ignoresErrors }
  }
}

function readPipe(text: string): Pipe {
  // The vendor's own example ends in a slash.
  const [type = '', ...words] = text.replace(/\/$/, '').split('/')
  if (type !== 'imageMogr2') throw notImplemented(`${type} in image processing`)
  if (words.length === 0) throw invalid('no operation')
  const pipe: Pipe = { steps: [], gravity: 'northwest', progressive: false }
  let padded = false
  let colour = PAD_COLOUR
  while (words.length > 0) {
    const name = words.shift() ?? ''
    const value = name === 'auto-orient' || name === 'strip' ? '' : (words.shift() ?? '')
    const wrong = invalid(`${name}/${value}`)
    const step = readStep(name, value, wrong)
    if (step) pipe.steps.push(step)
    else if (name === 'gravity') pipe.gravity = oneOf(GRAVITIES, value, wrong)
    else if (name === 'pad') padded = flag(value, wrong)
    else if (name === 'color') colour = readColour(value, wrong)
    else if (name === 'format') pipe.format = readFormat(value, wrong)
    else if (name === 'quality') {
      const [, number, forced] = match(/^(\d{1,3})(!?)$/, value, wrong)
      pipe.quality = { value: within(Number(number), 0, 100, wrong), forced: forced === '!' }
    } else if (name === 'interlace') pipe.progressive = flag(value, wrong)
    else if (name === 'ignore-error') flag(value, wrong)
    // Nothing of a source but its pixels and its orientation is kept anyway.
    else if (name !== 'strip') throw notImplemented(`imageMogr2/${name}`)
  }
  return { ...pipe, ...(padded && { pad: colour }) }
}

function readStep(name: string, value: string, wrong: Refusal): Step | undefined {
  switch (name) {
    case 'thumbnail':
      return readThumbnail(value, wrong)
    case 'cut': {
      const [, width, height, x, y] = match(/^(\d+)x(\d+)x(\d+)x(\d+)$/, value, wrong)
      // The page wants offsets above 0, too (product/1045/33714): that nobody could cut at an edge is not believed here.
      return { name, width: side(width, wrong), height: side(height, wrong), x: capped(x), y: capped(y) }
    }
    case 'crop': {
      const [, width, height] = match(/^(?!x$)(\d*)x(\d*)$/, value, wrong)
      return { name, ...(width && { width: side(width, wrong) }), ...(height && { height: side(height, wrong) }) }
    }
    case 'auto-orient':
      return { name }
    case 'rotate': {
      const angle = within(Number(match(/^\d{1,3}$/, value, wrong)[0]), 0, 360, wrong)
      // What fills the corners is not documented.
      if (angle % 90 !== 0) throw notImplemented(`imageMogr2/rotate/${value}`)
      return { name, angle }
    }
    case 'flip':
      return { name, vertical: oneOf(['vertical', 'horizontal'] as const, value, wrong) === 'vertical' }
    case 'blur': {
      const [, radius, sigma] = match(/^(\d{1,2})x(\d{1,4}(?:\.\d{1,3})?)$/, value, wrong)
      within(Number(radius), 1, 50, wrong)
      if (!(Number(sigma) > 0)) throw wrong
      return { name, sigma: Number(sigma) }
    }
    case 'sharpen':
      return { name, amount: within(Number(match(/^\d{1,3}$/, value, wrong)[0]), 10, 300, wrong) }
    default:
      return undefined
  }
}

/** Every spelling of "Scaling" (product/1246/109193). */
function readThumbnail(value: string, wrong: Refusal): Step {
  const name = 'thumbnail'
  const [, percentX, percentY, percent] = /^!(?:(\d{1,4})px|x(\d{1,4})p|(\d{1,4})p)$/.exec(value) ?? []
  if (percentX ?? percentY ?? percent) {
    const [x, y] = [Number(percentX ?? percent ?? 100) / 100, Number(percentY ?? percent ?? 100) / 100]
    if (x === 0 || y === 0) throw wrong
    return { name, to: ([w, h]) => rounded(w * x, h * y) }
  }
  const [, area] = /^(\d{1,9})@$/.exec(value) ?? []
  if (area) {
    if (Number(area) === 0) throw wrong
    return {
      name,
      to: ([w, h]) => {
        const scale = Math.min(1, Math.sqrt(Number(area) / (w * h)))
        return [Math.max(1, Math.floor(w * scale)), Math.max(1, Math.floor(h * scale))]
      },
    }
  }
  const [, least] = /^!(\d+x\d+)r$/.exec(value) ?? []
  const [, textW, textH, mode] = match(/^(?!x$)(\d*)x(\d*)([<>!]?)$/, least ?? value, wrong)
  if (!textW || !textH) {
    if (mode) throw wrong
    const [width, height] = [textW && side(textW, wrong), textH && side(textH, wrong)]
    return {
      name,
      to: ([w, h]) =>
        width ? [width, rounded(1, (h * width) / w)[1]] : [rounded((w * (height || h)) / h, 1)[0], height || h],
    }
  }
  const box: Size = [side(textW, wrong), side(textH, wrong)]
  if (mode === '!') return { name, to: () => box }
  const to = ([w, h]: Size): Size => {
    const scales = [box[0] / w, box[1] / h] as const
    const scale = least ? Math.max(...scales) : Math.min(...scales)
    if ((mode === '>' && scale >= 1) || (mode === '<' && scale <= 1)) return [w, h]
    return rounded(w * scale, h * scale)
  }
  return { name, to, ...(!least && { box }) }
}

function rounded(width: number, height: number): Size {
  return [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))]
}

/** URL-safe base64, padded or not, of `#rrggbb`. */
function readColour(value: string, wrong: Refusal): string {
  return match(/^#[0-9a-f]{6}$/i, Buffer.from(value, 'base64url').toString('latin1'), wrong)[0]
}

function readFormat(value: string, wrong: Refusal): Format {
  const format = Object.hasOwn(FORMATS, value) ? FORMATS[value] : undefined
  if (format) return format
  throw OTHER_FORMATS.includes(value) ? notImplemented(`imageMogr2/format/${value}`) : wrong
}

/** The vendor does not say what it answers to a parameter that is none; it has this code. */
function invalid(what: string): Refusal {
  return new Refusal('InvalidArgument', `Image processing: ${what} is not valid.`)
}

function match(form: RegExp, value: string, wrong: Refusal): RegExpExecArray {
  const found = form.exec(value)
  if (!found) throw wrong
  return found
}

function oneOf<T extends string>(choices: readonly T[], value: string, wrong: Refusal): T {
  const choice = choices.find((candidate) => candidate === value)
  if (!choice) throw wrong
  return choice
}

function flag(value: string, wrong: Refusal): boolean {
  return oneOf(['0', '1'], value, wrong) === '1'
}

function within(value: number, least: number, most: number, wrong: Refusal): number {
  if (!(value >= least && value <= most)) throw wrong
  return value
}

function capped(text = ''): number {
  return Math.min(Number(text), MAX_PARAMETER)
}

function side(text: string | undefined, wrong: Refusal): number {
  return within(capped(text), 1, MAX_PARAMETER, wrong)
}
