/** How a cutout is shown: the words of a view that the page offers. */
export interface Look {
  /** Six hex digits; `checker` shows it on nothing, which the page draws as a checkerboard. */
  ground: string
  /** Pixels; undefined is the photo's own. */
  width: number | undefined
  format: Format
  quality: number
  trim: boolean
}

export const FORMATS = ['webp', 'png', 'jpg', 'auto'] as const
export type Format = (typeof FORMATS)[number]
export const WIDTHS = [160, 320, 640, 1280] as const
/** No card is wider. */
export const CARD_WIDTHS = [160, 320, 640] as const
/** Grounds to try. `sand` and its like are names in the texts. */
export const GROUNDS = {
  checker: 'checker',
  white: 'ffffff',
  black: '111111',
  sand: 'f4e3d3',
  mist: 'dfe7ec',
  rose: 'efdfe2',
} as const

const QUALITY = 80
/** Around a trimmed product, in percent of its longer side. */
const MARGIN = 4
const FIRST: Look = { ground: GROUNDS.sand, width: 320, format: 'webp', quality: QUALITY, trim: true }

/** How a cutout is compared with its photo. */
export const COMPARED: Look = { ...FIRST, ground: GROUNDS.checker, width: 640, trim: false }

/** Reads what was remembered; what is none is as at first. */
export function readLook(json: unknown): Look {
  const { ground, width, format, quality, trim } = Object(json)
  return {
    ground: typeof ground === 'string' && /^([\da-f]{6}|checker)$/.test(ground) ? ground : FIRST.ground,
    width: CARD_WIDTHS.find((one) => one === width) ?? FIRST.width,
    format: FORMATS.find((one) => one === format) ?? FIRST.format,
    quality: typeof quality === 'number' && quality >= 1 && quality <= 100 ? Math.round(quality) : FIRST.quality,
    trim: typeof trim === 'boolean' ? trim : FIRST.trim,
  }
}

/**
 * The layout's text of an image URL.
 * @param grounded whether the picture itself shall hold the ground; else a page puts it behind
 */
export function lookText(layout: string, { ground, width, format, quality, trim }: Look, grounded: boolean): string {
  return [
    layout,
    width && `width=${width}`,
    trim && `trim=1,margin=${MARGIN}`,
    // A jpg is never transparent.
    ground !== GROUNDS.checker && (grounded || format === 'jpg') && `background=${ground}`,
    format !== 'png' && `format=${format}`,
    format !== 'png' && quality !== QUALITY && `quality=${quality}`,
  ]
    .filter(Boolean)
    .join(',')
}
