import { buffer } from 'node:stream/consumers'
import { imageSet, imageUrl, openUrl } from '../lib/access.ts'
import { readText } from '../lib/asked.ts'
import type { Config } from '../lib/config.ts'
import { frameKey } from '../lib/cutout.ts'
import { readFrame } from '../lib/frame.ts'
import { layoutName } from '../lib/layout.ts'
import { shownPart, type View } from '../lib/view.ts'
import type { Configured } from './configured.ts'
import type { Cos } from './cos/cos.ts'
import type { ImageAnswer, Photo } from './page/wire.ts'

export interface ImageOptions {
  cos: Cos
  imageUrl: string
  configured: Configured
  now: () => number
}

interface Size {
  width: number
  height: number
}

/** Widths where everybody may ask for any, in pixels, and the largest such. */
const WIDTHS = [200, 400, 800]
const WIDEST = 4_096
/** How long a signed URL is good, in seconds. */
const LIFE = 86_400
/** A PNG's signature and the start of its first chunk, which holds width and height (PNG, 11.2.2). */
const HEAD = { start: 0, end: 23 }

/** The image URL of a photo, and the element that a shop would write. @throws MattingError, Error */
export async function describeImage(photo: Photo, text: string, options: ImageOptions): Promise<ImageAnswer> {
  const { imageUrl: origin, configured, now } = options
  const config = configured.image()
  if (!config) throw new Error('No function has a URL yet: one is deployed with a trigger of type http.')
  const { key } = photo
  const { layout, view, widths, base } = readWidths(text, key, config)
  const expires = Math.floor(now() / 1000) + LIFE
  const [first] = config.access === 'signed' ? config.urlKeys : []
  const signer = first && { id: first[0], secret: first[1], expires }
  const url = signer
    ? imageUrl(origin, { layout: text, key, expires }, signer.id, signer.secret)
    : openUrl(origin, text, key)
  const cutout = photo.cutouts.find((one) => one.layout === layout)
  const size = shown(view, cutout && (await sizeOf(cutout.key, view, config, options)))
  const sizes = `(max-width: 640px) 100vw, ${size.width}px`
  const alt = key.replace(/^.*\//s, '').replace(/\.\w+$/, '')
  const { img } = imageSet(origin, { layout: base, key, widths, sizes, ...size, alt, ...(signer && { signer }) })
  const recent = now() - Date.parse(photo.modified) < 2 * config.redirectTtl * 1_000
  return { url, img, recent, widths, sizes }
}

/** What a URL's text asks for, its widths, and the text that they are added to. @throws MattingError what the URL would be answered */
function readWidths(text: string, key: string, config: Config) {
  const { presets, access, delivery } = config
  const { layout, view } = readText(text, config, `/${key}`)
  const own = (presets.get(text)?.views ?? []).flatMap(({ width }) => width ?? [])
  // Width and height together are one size; nobody may ask for what no preset names; and what is not stored has no views.
  const fixed = view?.height !== undefined || (access === 'presets' && own.length === 0) || delivery === 'direct'
  const asked = view?.width === undefined ? WIDTHS : [view.width, Math.min(2 * view.width, WIDEST)]
  const widths = own.length > 0 ? own : fixed ? [] : [...new Set(asked)]
  const others = text.split(',').filter((word) => !word.startsWith('width='))
  const base = widths.length === 0 ? text : others.join(',') || 'plain'
  return { layout: layoutName(layout), view, widths, base }
}

/** Width and height of a cutout, or of the part that a view trims it to, as far as that is known. */
async function sizeOf(key: string, view: View | undefined, config: Config, { cos }: ImageOptions) {
  const read = async (name: string, range?: typeof HEAD) => {
    const stored = cos.objects.get(config.cutoutBucket, name)
    return stored && buffer(cos.objects.stream(stored, range))
  }
  const frame = view?.trim && readFrame((await read(frameKey(key)))?.toString())
  if (frame) return shownPart(view, frame)
  const head = await read(key, HEAD)
  return head && head.length > HEAD.end ? { width: head.readUInt32BE(16), height: head.readUInt32BE(20) } : undefined
}

/** How large a view of it is. */
function shown(view: View | undefined, size: Size = { width: 400, height: 400 }): Size {
  const { width, height } = view ?? {}
  const ratio = size.height / size.width
  if (width !== undefined) return { width, height: height ?? Math.max(1, Math.round(width * ratio)) }
  if (height !== undefined) return { width: Math.max(1, Math.round(height / ratio)), height }
  return size
}
