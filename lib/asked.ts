import { readGrant } from './access.ts'
import type { Config } from './config.ts'
import { MattingError } from './errors.ts'
import { readExternal } from './external.ts'
import { type Layout, parseLayout } from './layout.ts'
import type { Fallbacks } from './preset.ts'
import { readings } from './readings.ts'
import { isUnder, refuseKey } from './source.ts'
import { isViewWord, parseView, printView, VIEW_WORDS, type View } from './view.ts'

/** Query parameters of other image services. Ignored, they would look like a bug; all others are ignored. */
const WISHES: readonly string[] = ['w', 'h', 'width', 'height', 'format', 'quality']
const EXAMPLE = '/plain,width=400,format=webp/uploads/mug.jpg'
/** Sizes that anybody may ask for with ACCESS=open, in pixels. */
const [SMALLEST, LARGEST] = [16, 4096]

const DOTS = /(^|\/)\.{1,2}(\/|$)/

/** What a URL asks for: `/<layout>/<key>`, or a picture elsewhere: `/<layout>/https%3A%2F%2F…`. */
export interface Asked extends Fallbacks {
  layout: Layout
  /** How the cutout is shown; undefined: as it is. */
  view: View | undefined
  /** What the path may mean, the likeliest first: the platform may or may not have decoded it. */
  sources: readonly (string | URL)[]
  /** When the URL's own signature ends, in Unix seconds of COS's clock; Infinity if it needs none. */
  expires: number
  /** Whether a cache may use the path alone as the answer's key. */
  shared: boolean
}

/**
 * Reads a request, and refuses what can be refused without asking COS or any host.
 * @param decoded whether the platform has certainly decoded the path
 * @throws MattingError bad-request, bad-signature, bad-layout, layout-refused, host-refused, not-found
 */
export function readRequest({ pathname, searchParams }: URL, config: Config, decoded = false): Asked {
  const [, name, path] = /^\/([^/]+)\/(.+)$/.exec(pathname) ?? []
  if (!name || !path) throw new MattingError('bad-request', 'Expected /<layout>/<key>, such as /plain/uploads/mug.jpg.')
  for (const wish of searchParams.keys()) {
    if (WISHES.includes(wish))
      throw new MattingError(
        'bad-request',
        `?${wish} does nothing here; sizes and formats belong in the path: ${EXAMPLE}`,
      )
  }
  const [text = name] = readings(name)
  let keys = decoded ? readings(path).slice(0, 1) : readings(path)
  let expires = Number.POSITIVE_INFINITY
  let shared = true
  if (config.access === 'signed') {
    const grant = readGrant(text, keys, searchParams, config.urlKeys)
    // Otherwise the path is that of another photo: with a valid signature for this one, anybody could put it in the other's
    // place in a cache.
    shared = grant.key === keys[0]
    keys = [grant.key]
    expires = grant.expires
  }
  const {
    layout,
    view,
    onPending = config.onPending,
    onFailure = config.onFailure,
  } = readLayout(text, config, pathname)
  return { layout, view, onPending, onFailure, sources: readSources(keys, config), expires, shared }
}

/** What a URL's text says of layout and view. */
type Reading = Partial<Fallbacks> & { layout: Layout; view: View | undefined }

/** Cache of what texts say under a configuration; reading the words of a view takes a sixth of a warm hit. */
const known = new WeakMap<Config, Map<string, Reading>>()
const MAX_KNOWN = 1_000

/** @throws MattingError bad-layout, bad-view, layout-refused */
function readLayout(text: string, config: Config, pathname: string): Reading {
  const readings = known.get(config) ?? new Map<string, Reading>()
  known.set(config, readings)
  const before = readings.get(text)
  if (before) return before
  const reading = readText(text, config, pathname)
  if (readings.size < MAX_KNOWN) readings.set(text, reading)
  return reading
}

/** Reads `card`, `card,width=320` or `center-layout=1,width=400`. @throws MattingError bad-layout, bad-view, layout-refused */
export function readText(text: string, config: Config, pathname: string): Reading {
  const { presets, access } = config
  const named = presets.get(text)
  if (named) return { ...named, view: named.views?.[0] }
  const [first = '', ...rest] = text.split(',')
  const preset = presets.get(first)
  const parts = preset ? rest : [first, ...rest]
  if (!preset && !first.includes('=')) {
    if (isUnder(pathname.slice(1), config.sourcePrefixes))
      throw new MattingError('bad-layout', `A layout comes first: /plain${pathname}`)
    throw new MattingError('bad-layout', `No such preset; there are: ${[...presets.keys()].join(', ')}.`)
  }
  const words = parts.filter(isViewWord)
  const others = parts.filter((part) => !isViewWord(part))
  if (preset && others.length > 0)
    throw new MattingError('bad-layout', `After a preset only a view is expected: ${VIEW_WORDS}.`)
  const layout = preset?.layout ?? readWords(others)
  const base = preset?.views?.find(({ width }) => words.includes(`width=${width}`)) ?? preset?.views?.[0]
  const view = words.length > 0 ? parseView(words, base) : undefined
  // Every different layout of a photo is another paid call, and every different view another entry in a cache.
  const offered = preset?.views?.some((one) => view && printView(one) === printView(view))
  if (view && !offered) checkView(view, config)
  if (access === 'presets' && !offered) throw new MattingError('layout-refused')
  return { ...preset, layout, view }
}

/** @throws MattingError bad-layout */
function readWords(parts: readonly string[]): Layout {
  try {
    return parseLayout(parts.join(','), ',')
  } catch (error) {
    throw new MattingError('bad-layout', `${MattingError.from(error).message} And of a view: ${VIEW_WORDS}.`)
  }
}

/** @throws MattingError bad-view: what no operator has allowed. */
function checkView({ format, width = SMALLEST, height = SMALLEST }: View, { access, avif, delivery }: Config): void {
  if (delivery === 'direct') throw new MattingError('bad-view', 'Here no cutouts are stored, so there are no views.')
  if (format === 'avif' && !avif) throw new MattingError('bad-view', 'Not a view; avif is not switched on here.')
  if (access === 'open' && [width, height].some((side) => side < SMALLEST || side > LARGEST))
    throw new MattingError('bad-view', `Not a view; width and height: expected ${SMALLEST} to ${LARGEST}.`)
}
function readSources(keys: readonly string[], { sourcePrefixes, detectHosts }: Config): (string | URL)[] {
  let refusal: MattingError | undefined
  const sources = new Map<string, string | URL>()
  for (const key of keys) {
    if (isUnder(key, sourcePrefixes)) {
      // Not with dots as path segments: COS, or a CDN in front of it, may resolve them into another folder.
      if (refuseKey(key, sourcePrefixes) === undefined && !DOTS.test(key)) sources.set(key, key)
    } else if (/^[a-z][a-z\d+.-]*:/i.test(key)) {
      try {
        const url = readExternal(key, detectHosts)
        sources.set(url.href, url)
      } catch (error) {
        refusal = MattingError.from(error)
      }
    }
  }
  if (sources.size === 0) {
    // Told without a look into the bucket, so that nobody learns what else is in it.
    if (!refusal && !keys.some((key) => isUnder(key, sourcePrefixes))) throw new MattingError('not-a-source')
    throw refusal ?? new MattingError('not-found')
  }
  return [...sources.values()]
}

/** A request's path for a log line, without what follows a `?`: the URL of a picture elsewhere may hold a token there. */
export function safePath(url: string): string {
  return new URL(url).pathname.split(/%3F/i)[0] ?? ''
}
