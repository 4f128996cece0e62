import { hash } from 'node:crypto'
import type { Config } from '../../lib/config.ts'
import { MattingError } from '../../lib/errors.ts'
import type { Picture } from '../../lib/external.ts'
import { layoutName, parameters } from '../../lib/layout.ts'
import { errorFields, log } from '../../lib/log.ts'
import { ensure, type Parts, type Source, type Stage, timed } from '../../lib/pay.ts'
import { encodeKey } from '../../lib/sign.ts'
import type { Asking } from './event.ts'
import { type Asked, readRequest } from './request.ts'

export interface ImageParts extends Parts {
  /** Looks at a picture elsewhere; undefined if there is none. */
  lookAt: (url: URL) => Promise<Picture | undefined>
  /** What this instance has seen, for as long as redirects to it may be cached. */
  known: Map<string, Known>
}

/** That there is a cutout of a source, or in direct delivery the source. */
interface Known {
  source: Source
  /** Key of the cutout; in direct delivery empty. */
  cutout: string
  /** When the source was looked at, in milliseconds since the epoch. */
  at: number
}

/** Most that an instance remembers. */
const MAX_KNOWN = 10_000
/** How long a redirect to the photo in the cutout's place may be cached, in seconds. */
const ORIGINAL_TTL = 30
/** A presigned URL is not handed out for its last seconds. */
const LAST_SECONDS = 30

/** For pages elsewhere that read the picture into a canvas, or look inside. */
const OPEN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'server-timing, x-matting',
  'timing-allow-origin': '*',
}

/**
 * Answers with a redirect to the cutout, which is made if it is not there; HEAD never makes one.
 * @throws MattingError; `problem` turns it into an answer.
 */
export async function image(request: Asking, parts: ImageParts): Promise<Response> {
  const { config, now, known } = parts
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new MattingError('method-refused')
  const url = new URL(request.url)
  if (url.pathname === '/') return help(config)
  if (url.pathname === '/healthz') return json({ status: 'ok' })
  const asked = readRequest(url, config, now())
  const id = `${layoutName(asked.layout)}\n${asked.sources.join('\n')}`
  const hit = known.get(id)
  if (hit && now() - hit.at < config.redirectTtl * 1000) return redirect(request, parts, asked, hit)
  known.delete(id)

  const at = now()
  const source = await timed(parts, 'look', findSource(parts, asked.sources))
  try {
    const found = await find(request, parts, asked, source)
    const fresh = { source, cutout: found.key, at }
    known.set(id, fresh)
    for (const oldest of known.size > MAX_KNOWN ? known.keys() : []) {
      known.delete(oldest)
      break
    }
    return redirect(request, parts, asked, fresh, found.by)
  } catch (thrown) {
    const error = MattingError.from(thrown)
    if (!wantsOriginal(error, asked)) throw error
    if (error.status >= 500) log({ function: 'image', outcome: 'original', ...errorFields(error) })
    return redirect(request, parts, asked, { source, cutout: '', at }, 'original')
  }
}

/** An error as problem details (RFC 9457), never cached. */
export function problem(error: MattingError, now: number, spent: ReadonlyMap<Stage, number> = new Map()): Response {
  const { code, status, message, retryable } = error
  const seconds = Math.floor(now / 1000)
  // The day of DAILY_LIMIT ends at midnight, UTC.
  const wait = code === 'limit-reached' ? 86_400 - (seconds % 86_400) : code === 'changing-too-fast' ? 60 : 2
  return json(
    { title: message, status, code },
    {
      status,
      headers: {
        ...timing(spent),
        'content-type': 'application/problem+json',
        ...(retryable && { 'retry-after': String(wait) }),
        ...(code === 'method-refused' && { allow: 'GET, HEAD' }),
      },
    },
  )
}

function help({ presets, access, detectHosts }: Config): Response {
  return json({
    usage: access === 'signed' ? '/<layout>/<key>?exp=…&kid=…&sig=…' : '/<layout>/<key>',
    layouts: [...presets.keys(), ...(access === 'presets' ? [] : ['center-layout=1,padding-layout=20x10'])],
    ...(detectHosts.length > 0 && { elsewhere: detectHosts.map((host) => `/<layout>/https%3A%2F%2F${host}%2F…`) }),
  })
}

function json(
  body: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
) {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store', ...OPEN, ...headers } })
}

async function findSource({ cos, lookAt }: ImageParts, sources: Asked['sources']): Promise<Source> {
  for (const source of sources) {
    const found = await (typeof source === 'string' ? cos.head(source) : lookAt(source))
    if (found) return { key: String(source), ...found }
  }
  throw new MattingError('not-found')
}

/** The cutout, made if need be, and how it was come by. @throws MattingError */
async function find({ method }: Asking, parts: ImageParts, { layout, onPending }: Asked, source: Source) {
  const { delivery, maxSourceBytes } = parts.config
  if (delivery === 'direct') {
    if (source.size > maxSourceBytes) throw new MattingError('too-large')
    return { key: '', by: 'direct' }
  }
  const options = { pay: method === 'GET', wait: onPending === 'wait' }
  const [cutout] = await ensure(parts, 'url', source, [layout], options)
  if (!cutout) throw new MattingError('internal')
  return cutout
}

function wantsOriginal({ code }: MattingError, { onPending, onFailure }: Asked): boolean {
  if (code === 'not-made') return false
  return (code === 'pending' || code === 'unknown-outcome' ? onPending : onFailure) === 'original'
}

/** To the cutout, or to what is delivered in its place. */
function redirect(
  request: Asking,
  parts: ImageParts,
  asked: Asked,
  { source, cutout, at }: Known,
  by = 'hit',
): Response {
  const { config, now, spent } = parts
  const seconds = Math.floor(now() / 1000)
  const how = by === 'hit' && !cutout ? 'direct' : by
  const { url, until } = locate(parts, asked, source, cutout, how, seconds)
  const life = Math.max(0, Math.min(until, asked.expires) - seconds)
  // Together with the time that this instance has known it: else a changed photo would be seen only after twice the time.
  const age = Math.floor((now() - at) / 1000)
  const ttl = Math.min(life, how === 'original' ? ORIGINAL_TTL : Math.max(0, config.redirectTtl - age))
  const stale = how === 'original' ? 0 : Math.min(config.redirectTtl, life - ttl)
  // Of the whole URL: were it of the picture alone, a 304 would keep a Location alive whose signature has ended.
  const etag = `"${hash('sha1', url).slice(0, 16)}"`
  const headers = {
    ...OPEN,
    ...timing(spent),
    'cache-control': `public, max-age=${ttl}${stale > 0 ? `, stale-while-revalidate=${stale}` : ''}`,
    etag,
    'x-matting': how,
  }
  const tags = request.headers
    .get('if-none-match')
    ?.split(/\s*,\s*/)
    .map((tag) => tag.replace(/^W\//, ''))
  if (tags?.includes(etag) || tags?.includes('*')) return new Response(null, { status: 304, headers })
  return new Response(null, { status: 302, headers: { ...headers, location: url } })
}

/** Where it can be fetched, and until when that is true, in Unix seconds. */
function locate(
  { config, cos }: ImageParts,
  { layout }: Asked,
  source: Source,
  cutout: string,
  how: string,
  seconds: number,
): { url: string; until: number } {
  const { deliveryUrl, deliveryKey, urlWindow } = config
  const key = cutout || source.key
  if (how === 'original' && source.url) return { url: source.url, until: Number.POSITIVE_INFINITY }
  if (how !== 'direct' && deliveryUrl) return { url: deliveryUrl + encodeKey(key), until: Number.POSITIVE_INFINITY }
  // The same URL for everybody within a window, so that caches can keep the picture; it lives on for one window after it.
  const start = seconds - (seconds % urlWindow)
  const end = start + 2 * urlWindow
  const query = { ...parameters(layout), ...(source.url && { 'detect-url': source.url }) }
  const signed =
    how === 'direct'
      ? cos.presign(source.url ? '' : key, start - 300, end, { query })
      : // Starts earlier than now, because the clocks of instances differ.
        cos.presign(key, start - 300, end, { signer: deliveryKey })
  return { url: signed, until: end - LAST_SECONDS }
}

/** Server-Timing (W3C): where the time went. */
function timing(spent: ReadonlyMap<Stage, number>): Record<string, string> {
  const stages = [...spent].map(([stage, ms]) => `${stage};dur=${ms}`)
  return stages.length > 0 ? { 'server-timing': stages.join(', ') } : {}
}
