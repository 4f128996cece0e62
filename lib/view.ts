import { MattingError } from './errors.ts'

/** How a stored cutout is shown. It never changes the cutout's key, and is never paid as matting. */
export interface View {
  /** Pixels. */
  width: number | undefined
  /** Pixels. */
  height: number | undefined
  /** How the picture fits into width and height: it lies within both, or fills both and is cropped. */
  fit: 'contain' | 'cover'
  /** Whether the product's frame is shown instead of the whole picture. */
  trim: boolean
  /** Around the frame, on each side, in percent of its longer side. */
  margin: number
  /** `rrggbb`; undefined if the ground is transparent. */
  background: string | undefined
  format: Format | 'auto'
  /** 1 to 100; png has none. */
  quality: number
}

const FORMATS = ['png', 'webp', 'jpg', 'avif'] as const
export type Format = (typeof FORMATS)[number]

export type Operations = `imageMogr2/${string}`

/** The bounding box of the product in its cutout, and that cutout's size, in pixels. */
export interface Frame {
  x: number
  y: number
  width: number
  height: number
  of: readonly [width: number, height: number]
}

/** Each word of a view with its form and, for people, what is expected. Their order is the canonical one. */
const WORDS = {
  width: [/^(?:[1-9]\d{0,3}|10000)$/, '1 to 10000'],
  height: [/^(?:[1-9]\d{0,3}|10000)$/, '1 to 10000'],
  fit: [/^(?:contain|cover)$/, 'contain or cover'],
  trim: [/^[01]$/, '0 or 1'],
  margin: [/^(?:\d{1,2}|100)$/, '0 to 100'],
  background: [/^(?:[\da-f]{6}|transparent)$/i, 'six hex digits, or transparent'],
  format: [/^(?:png|webp|jpg|auto|avif)$/, 'png, webp, jpg, auto or avif'],
  quality: [/^(?:[1-9]\d?|100)$/, '1 to 100'],
} as const satisfies Record<keyof View, readonly [form: RegExp, expected: string]>
const NAMES = Object.keys(WORDS) as readonly (keyof View)[]

/** A view as its words say it, before what is not said is filled in. */
type Words = Partial<Record<keyof View, string>>

const QUALITY = 80
/** The ground of a jpg that names none: a jpg cannot be transparent. */
const WHITE = 'ffffff'

/** What the words of a view are, for error messages. */
export const VIEW_WORDS = NAMES.map((name) => `${name}=${WORDS[name][1]}`).join('; ')

/** Whether a part of a layout's text is a word of a view. */
export function isViewWord(part: string): boolean {
  return NAMES.some((name) => part.startsWith(`${name}=`))
}

/**
 * Reads words such as `width=400`; what they do not say is as in `base`, or standard.
 * @throws MattingError bad-view: a value that is not allowed, a word given twice, words that contradict each other.
 */
export function parseView(parts: readonly string[], base?: View): View {
  const said: Words = {}
  for (const part of parts) {
    const name = NAMES.find((name) => part.startsWith(`${name}=`))
    if (!name) throw refused(`expected ${VIEW_WORDS}`)
    if (said[name] !== undefined) throw refused(`${name} is given twice`)
    const value = part.slice(name.length + 1)
    const [form, expected] = WORDS[name]
    if (!form.test(value)) throw refused(`${name}: expected ${expected}`)
    said[name] = value
  }
  const words = { ...(base && wordsOf(base)), ...said }
  const { fit, trim, format, background = format === 'jpg' ? WHITE : 'transparent' } = words
  if (format === 'jpg' && background === 'transparent') throw refused('a jpg is never transparent')
  if (fit === 'cover' && !(words.width && words.height)) throw refused('fit=cover needs width and height')
  if (Number(words.margin ?? 0) > 0 && trim !== '1') throw refused('margin needs trim=1')
  const isPng = (format ?? 'png') === 'png'
  if (isPng && said.quality !== undefined) throw refused('a png has no quality')
  return {
    width: words.width === undefined ? undefined : Number(words.width),
    height: words.height === undefined ? undefined : Number(words.height),
    fit: fit === 'cover' ? 'cover' : 'contain',
    trim: trim === '1',
    margin: Number(words.margin ?? 0),
    background: background === 'transparent' ? undefined : background.toLowerCase(),
    format: format === 'auto' ? 'auto' : (FORMATS.find((one) => one === format) ?? 'png'),
    quality: isPng ? QUALITY : Number(words.quality ?? QUALITY),
  }
}

/**
 * Reads the words of a preset, in which `width=160|320` stands for several views; `height` then has as many values.
 * @throws MattingError bad-view
 */
export function parseViews(parts: readonly string[]): View[] {
  const columns = parts.map((part) => {
    const [, name = '', values = ''] = /^((?:width|height)=)([\d|]*)$/.exec(part) ?? []
    return name ? values.split('|').map((value) => name + value) : [part]
  })
  const count = Math.max(1, ...columns.map((column) => column.length))
  if (columns.some((column) => column.length > 1 && column.length < count))
    throw refused('as many heights as widths are needed')
  const widths = columns.find(([first = '']) => first.startsWith('width='))
  if (count > 1 && widths?.length !== count) throw refused('several heights need as many widths')
  if (new Set(widths).size !== (widths?.length ?? 0)) throw refused('a width is given twice')
  return Array.from({ length: count }, (_, i) => parseView(columns.map((column) => column[i] ?? column[0] ?? '')))
}

/** The canonical words of a view, without what is standard; '' for the cutout as it is. */
export function printView(view: View): string {
  const words = wordsOf(view)
  return NAMES.flatMap((name) => (words[name] === undefined ? [] : [`${name}=${words[name]}`])).join(',')
}

/** A view's name within keys: `w400-h300-cover`, `trim-m10-bffffff`, or `full`. */
export function viewName(view: View): string {
  const { width, height, fit, trim, margin, background, quality } = wordsOf(view)
  const parts = [
    width && `w${width}`,
    height && `h${height}`,
    fit,
    trim && 'trim',
    margin && `m${margin}`,
    background && `b${background}`,
    quality && `q${quality}`,
  ]
  return parts.filter(Boolean).join('-') || 'full'
}

function wordsOf({ width, height, fit, trim, margin, background, format, quality }: View): Words {
  return {
    ...(width !== undefined && { width: String(width) }),
    ...(height !== undefined && { height: String(height) }),
    ...(fit !== 'contain' && { fit }),
    ...(trim && { trim: '1' }),
    ...(margin > 0 && { margin: String(margin) }),
    ...(background !== undefined && !(format === 'jpg' && background === WHITE) && { background }),
    ...(format !== 'png' && { format }),
    ...(quality !== QUALITY && { quality: String(quality) }),
  }
}

/** The format for a request: `auto` is the smallest of those that its Accept names (RFC 9110, 12.5.1) and that are allowed. */
export function formatFor(view: View, accept: string, avif: boolean): Format {
  if (view.format !== 'auto') return view.format
  // Only what is named counts: `image/*` is also sent by clients that know no WebP.
  const named = (type: string) =>
    accept.split(',').some((entry) => {
      const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
      return name === type && !parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter))
    })
  if (avif && named('image/avif')) return 'avif'
  return named('image/webp') ? 'webp' : 'png'
}

/**
 * A view as the vendor's processing (imageMogr2, product/460/36540), to be the query of the object's URL; '' if nothing is to be
 * done. The object is the cutout, or its ground if the view has a background, because no page says what pad, jpg or a colour
 * make of transparency. `frame` is needed if the view trims.
 */
export function operations(view: View, format: Format, frame?: Frame): Operations | '' {
  const { width, height, fit, background, quality } = view
  const steps: string[] = []
  if (view.trim && frame) {
    const { x, y, width, height, of } = shownPart(view, frame)
    if (width < of[0] || height < of[1]) steps.push(`cut/${width}x${height}x${x}x${y}`)
  }
  if (width && height && fit === 'cover')
    steps.push(`thumbnail/!${width}x${height}r`, `crop/${width}x${height}/gravity/center`)
  else if (width && height && background)
    steps.push(`thumbnail/${width}x${height}/pad/1/color/${Buffer.from(`#${background}`).toString('base64url')}`)
  else if (width || height) steps.push(`thumbnail/${width ?? ''}x${height ?? ''}`)
  if (format !== 'png') steps.push(`${steps.pop() ?? ''}/format/${format}/quality/${quality}`.replace(/^\//, ''))
  const [first, ...rest] = steps
  return first === undefined ? '' : `imageMogr2/${[first, ...rest].join('|imageMogr2/')}`
}

/**
 * The part of a cutout that a trimmed view shows: the frame with its margin, grown to the shape of width and height so that the
 * product keeps its middle. It grows by the same on both sides, but for an odd pixel, and no further than the picture reaches.
 */
export function shownPart({ width, height, fit, margin }: View, frame: Frame): Frame {
  const { of } = frame
  const extra = Math.round((Math.max(frame.width, frame.height) * margin) / 100)
  let [x, w] = grow(frame.x, frame.width, frame.width + 2 * extra, of[0])
  let [y, h] = grow(frame.y, frame.height, frame.height + 2 * extra, of[1])
  if (width && height && fit === 'contain') {
    const [wider, higher] = [Math.round((h * width) / height), Math.round((w * height) / width)]
    ;[x, w] = grow(x, w, wider, of[0])
    ;[y, h] = grow(y, h, higher, of[1])
  }
  return { x, y, width: w, height: h, of }
}

function grow(start: number, length: number, wanted: number, limit: number): [start: number, length: number] {
  const more = Math.max(0, wanted - length)
  const extra = Math.min(more >> 1, start, limit - start - length)
  // Without the odd pixel a square would not be one, and a tile of 640 pixels would have 639.
  const odd = extra === more >> 1 && start + length + extra < limit ? more & 1 : 0
  return [start - extra, length + 2 * extra + odd]
}

function refused(why: string): MattingError {
  return new MattingError('bad-view', `Not a view; ${why}.`)
}
