import { type Config, isUnder } from '../../lib/config.ts'
import { isCutout, MAX_KEY } from '../../lib/cutout.ts'
import { MattingError } from '../../lib/errors.ts'
import { type Layout, parseLayout } from '../../lib/layout.ts'
import { readings } from '../../lib/readings.ts'

const DOTS = /(^|\/)\.{1,2}(\/|$)/

/** What a URL asks for: `/<layout>/<key>`. */
export interface Asked {
  layout: Layout
  /** The keys the path may mean, likeliest first: the platform may have decoded it already, or not. */
  keys: readonly string[]
}

/**
 * Reads a request, and refuses what can be refused without asking anybody.
 * @throws MattingError method-refused, bad-request, bad-layout, layout-refused, not-found
 */
export function readRequest(request: Request, config: Config): Asked {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new MattingError('method-refused')
  const [, name, path] = /^\/([^/]+)\/(.+)$/.exec(new URL(request.url).pathname) ?? []
  if (!name || !path) throw new MattingError('bad-request', 'Expected /<layout>/<key>.')
  const layout = readLayout(readings(name)[0] ?? name, config)
  // Not as a path that climbs: COS, or what stands in front of it, may resolve it into another folder.
  const keys = readings(path).filter(
    (key) =>
      isUnder(key, config.sourcePrefixes) && !isCutout(key) && Buffer.byteLength(key) <= MAX_KEY && !DOTS.test(key),
  )
  if (keys.length === 0) throw new MattingError('not-found')
  return { layout, keys }
}

function readLayout(text: string, { presets, access }: Config): Layout {
  const preset = presets.get(text)
  if (preset) return preset
  if (!text.includes('='))
    throw new MattingError('bad-layout', `No such preset; there are: ${[...presets.keys()].join(', ')}.`)
  const layout = parseLayout(text, ',')
  // Every distinct layout of a photo is another paid call.
  if (access === 'presets') throw new MattingError('layout-refused')
  return layout
}
