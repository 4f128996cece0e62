import { MattingError } from './errors.ts'

/** How a cutout is arranged: the two parameters of the vendor's page (product/436/74972). */
export interface Layout {
  /** center-layout=1 */
  center: boolean
  /** padding-layout=<dx>x<dy>: pixels added left and right (dx), above and below (dy); each 0 to 1000. */
  dx: number
  dy: number
}

export const plain: Layout = { center: false, dx: 0, dy: 0 }

const EXPECTED = 'center-layout=0|1 and padding-layout=<dx>x<dy>, each 0 to 1000'

/**
 * Reads the vendor's parameters, `center-layout=1&padding-layout=20x10`; '' is the plain layout. The separator is `&` in the
 * configuration and `,` in image URLs.
 * @throws MattingError bad-layout: unknown, repeated, malformed or out of range.
 */
export function parseLayout(text: string, separator: '&' | ','): Layout {
  const layout = { ...plain }
  const seen = new Set<string>()
  for (const part of text === '' ? [] : text.split(separator)) {
    const [, name, center, dx, dy] = /^(?:(center-layout)=([01])|padding-layout=(\d{1,4})x(\d{1,4}))$/.exec(part) ?? []
    const key = name ?? 'padding-layout'
    if ((center === undefined && dx === undefined) || seen.has(key) || Number(dx) > 1000 || Number(dy) > 1000) {
      throw new MattingError('bad-layout', `Not a layout; expected ${EXPECTED}, each at most once.`)
    }
    seen.add(key)
    if (center !== undefined) layout.center = center === '1'
    else Object.assign(layout, { dx: Number(dx), dy: Number(dy) })
  }
  return layout
}

/** A layout's short name, the same for all spellings of it: `plain`, `c1-p20x10`. FILE in cutout.ts must match each of them. */
export function layoutName({ center, dx, dy }: Layout): string {
  const parts = [center ? 'c1' : '', dx || dy ? `p${dx}x${dy}` : '']
  return parts.filter(Boolean).join('-') || 'plain'
}

/**
 * The parameters of method one (a GET of the photo, answered with its cutout), including those with their default values: a
 * parameter that is not in the query is not signed, so anybody who has the URL could add it.
 */
export function parameters({ center, dx, dy }: Layout): Record<string, string> {
  return { 'ci-process': 'GoodsMatting', 'center-layout': center ? '1' : '0', 'padding-layout': `${dx}x${dy}` }
}

/** The vendor's text of a layout, for Pic-Operations. Parameters with their default values are left out. */
export function rule({ center, dx, dy }: Layout): string {
  return `ci-process=GoodsMatting${center ? '&center-layout=1' : ''}${dx || dy ? `&padding-layout=${dx}x${dy}` : ''}`
}
