import { readGrant } from '../../lib/access.ts'
import type { Config } from '../../lib/config.ts'
import { MattingError } from '../../lib/errors.ts'
import { readExternal } from '../../lib/external.ts'
import { type Layout, parseLayout } from '../../lib/layout.ts'
import type { Fallbacks, Preset } from '../../lib/preset.ts'
import { readings } from '../../lib/readings.ts'
import { isUnder, refuseKey } from '../../lib/source.ts'

const DOTS = /(^|\/)\.{1,2}(\/|$)/

/** What a URL asks for: `/<layout>/<key>`, or a picture elsewhere: `/<layout>/https%3A%2F%2F…`. */
export interface Asked extends Fallbacks {
  layout: Layout
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
  if (!name || !path) throw new MattingError('bad-request', 'Expected /<layout>/<key>.')
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
  const { layout, onPending = config.onPending, onFailure = config.onFailure } = readLayout(text, config)
  return { layout, onPending, onFailure, sources: readSources(keys, config), expires, shared }
}

function readLayout(text: string, { presets, access }: Config): Preset {
  const preset = presets.get(text)
  if (preset) return preset
  if (!text.includes('='))
    throw new MattingError('bad-layout', `No such preset; there are: ${[...presets.keys()].join(', ')}.`)
  const layout = parseLayout(text, ',')
  // Every different layout of a photo is another paid call.
  if (access === 'presets') throw new MattingError('layout-refused')
  return { layout }
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
  if (sources.size === 0) throw refusal ?? new MattingError('not-found')
  return [...sources.values()]
}

/** A request's path for a log line, without what follows a `?`: the URL of a picture elsewhere may hold a token there. */
export function safePath(url: string): string {
  return new URL(url).pathname.split(/%3F/i)[0] ?? ''
}
