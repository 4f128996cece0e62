import { createHmac, timingSafeEqual } from 'node:crypto'
import { MattingError } from './errors.ts'
import { encode, encodeKey } from './sign.ts'

/** What an image URL asks for, and until when. Its signature covers all of it. */
export interface Grant {
  /** A preset, or `center-layout=1,padding-layout=20x10`, as in the URL, but decoded. */
  layout: string
  /** The photo's key, or the whole URL of a picture elsewhere. */
  key: string
  /** Unix seconds. */
  expires: number
}

/**
 * A signed image URL for `ACCESS=signed`. The signature is in the query, so that a CDN can leave it out of its cache key. `id`
 * and `secret` are one of URL_KEYS, `origin` is that of the function URL, or of a CDN in front of it.
 */
export function imageUrl(origin: string, { layout, key, expires }: Grant, id: string, secret: string): string {
  const sig = signature(secret, { layout, key, expires })
  return `${openUrl(origin, layout, key)}?exp=${expires}&kid=${encode(id)}&sig=${sig}`
}

/** An image URL without a signature. */
export function openUrl(origin: string, layout: string, key: string): string {
  // A URL in the path is encoded completely, because `//` and `?` would not survive the way.
  return `${origin}/${encode(layout)}${/^https?:/i.test(key) ? `/${encode(key)}` : encodeKey(key)}`
}

/** A picture on a page, in several widths. */
export interface ImageSetOptions {
  /** A preset, or words such as `plain,format=webp,trim=1`. */
  layout: string
  /** The photo's key, or the whole URL of a picture elsewhere. */
  key: string
  /** Widths that the browser may choose from, in pixels; with ACCESS=presets those of the preset. */
  widths: readonly number[]
  /** The width that the picture has on the page, as in CSS: `(max-width: 600px) 100vw, 320px`. */
  sizes: string
  /** Width and height of the picture, or their ratio: with them the browser keeps the room, so that nothing jumps. */
  width?: number
  height?: number
  alt: string
  /** For ACCESS=signed. */
  signer?: { id: string; secret: string; expires: number }
}

/** What HTML needs for it; `img` is a whole element, the others are the values of its attributes, not escaped. */
export interface ImageSet {
  src: string
  srcset: string
  sizes: string
  img: string
}

/** The image URLs of all widths, as HTML's `srcset` (HTML, 4.8.4.2.1). `src` is the widest; without widths, there is only `src`. */
export function imageSet(origin: string, options: ImageSetOptions): ImageSet {
  const { layout, key, widths, sizes, width, height, alt, signer } = options
  const sorted = [...widths].sort((a, b) => a - b)
  const address = (text: string) => {
    if (!signer) return openUrl(origin, text, key)
    return imageUrl(origin, { layout: text, key, expires: signer.expires }, signer.id, signer.secret)
  }
  const urls = sorted.map((width) => address(`${layout},width=${width}`))
  const src = urls.at(-1) ?? address(layout)
  const srcset = urls.map((url, i) => `${url} ${sorted[i]}w`).join(', ')
  const attributes = { src, ...(srcset && { srcset, sizes }), width, height, alt, loading: 'lazy' }
  const pairs = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}="${escapeHtml(String(value))}"`,
  )
  return { src, srcset, sizes, img: `<img ${pairs.join(' ')}>` }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/**
 * For which of the keys that a path may mean the URL was signed, and until when. Whether that time is over is not decided here:
 * the clocks of instances differ, and COS's clock is known only from an answer.
 * @throws MattingError bad-request, bad-signature
 */
export function readGrant(
  layout: string,
  keys: readonly string[],
  query: URLSearchParams,
  secrets: ReadonlyMap<string, string>,
): Grant {
  const [id, exp, sig] = ['kid', 'exp', 'sig'].map((name) => {
    const [value, ...more] = query.getAll(name)
    if (more.length > 0) throw new MattingError('bad-request', 'Expected exp, kid and sig once each.')
    return value ?? ''
  })
  const secret = secrets.get(id ?? '')
  // With a line break in the layout, two grants could have the same signed text.
  if (layout.includes('\n') || !secret || !sig || !/^[1-9]\d{0,11}$/.test(exp ?? ''))
    throw new MattingError('bad-signature')
  const expires = Number(exp)
  const key = keys.find((key) => same(sig, signature(secret, { layout, key, expires })))
  if (key === undefined) throw new MattingError('bad-signature')
  return { layout, key, expires }
}

function signature(secret: string, { layout, key, expires }: Grant): string {
  return createHmac('sha256', secret).update(`${layout}\n${key}\n${expires}`).digest('base64url')
}

/** In constant time; otherwise a signature could be guessed character by character. */
function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
