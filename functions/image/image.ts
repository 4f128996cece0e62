import { createHash } from 'node:crypto'
import type { Config } from '../../lib/config.ts'
import type { Cos } from '../../lib/cos.ts'
import { cutoutKey } from '../../lib/cutout.ts'
import { MattingError } from '../../lib/errors.ts'
import { ensure, type Parts, type Source } from '../../lib/pay.ts'
import { encodeKey } from '../../lib/sign.ts'
import { readRequest } from './request.ts'

/**
 * Answers with a redirect to the cutout, which is made if it is not there; HEAD never makes one.
 * @throws MattingError; `problem` turns it into an answer.
 */
export async function image(request: Request, parts: Parts): Promise<Response> {
  const { config, cos, now } = parts
  const { layout, keys } = readRequest(request, config)
  const source = await findSource(cos, keys)
  if (request.method === 'HEAD') {
    const key = cutoutKey(config.cutoutPrefix, source, layout)
    if (!(await cos.head(key))) throw new MattingError('not-made')
    return redirect(request, locate(key, config, cos, now))
  }
  const [cutout] = await ensure(parts, 'url', source, [layout])
  if (!cutout) throw new MattingError('internal')
  return redirect(request, locate(cutout.key, config, cos, now), cutout.paid)
}

/** An error as problem details (RFC 9457), never cached. */
export function problem(error: MattingError, now: number): Response {
  const { code, status, message, retryable } = error
  const seconds = Math.floor(now / 1000)
  // The day of DAILY_LIMIT ends at midnight, UTC.
  const wait = code === 'limit-reached' ? 86_400 - (seconds % 86_400) : code === 'changing-too-fast' ? 60 : 2
  return Response.json(
    { title: message, status, code },
    {
      status,
      headers: {
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
        ...(retryable && { 'retry-after': String(wait) }),
        ...(code === 'method-refused' && { allow: 'GET, HEAD' }),
      },
    },
  )
}

async function findSource(cos: Cos, keys: readonly string[]): Promise<Source> {
  for (const key of keys) {
    const head = await cos.head(key)
    if (head) return { key, ...head }
  }
  throw new MattingError('not-found')
}

/** Where the cutout can be fetched, and for how many seconds that will be true. */
function locate(key: string, config: Config, cos: Cos, now: () => number): { url: string; ttl: number } {
  const { deliveryUrl, redirectTtl, urlWindow } = config
  if (deliveryUrl) return { url: deliveryUrl + encodeKey(key), ttl: redirectTtl }
  const seconds = Math.floor(now() / 1000)
  const start = seconds - (seconds % urlWindow)
  // The same URL for everybody within a window, so that caches can keep the picture; it lives on for one window after it.
  const end = start + 2 * urlWindow
  // Starts earlier than now, because the clocks of instances differ.
  return { url: cos.presign(key, start - 300, end), ttl: Math.min(redirectTtl, end - seconds - 30) }
}

function redirect(request: Request, { url, ttl }: { url: string; ttl: number }, paid = false): Response {
  // Of the whole URL: were it of the picture alone, a 304 would keep a Location alive whose signature has ended.
  const etag = `"${createHash('sha1').update(url).digest('hex').slice(0, 16)}"`
  const headers = { 'cache-control': `public, max-age=${ttl}`, etag, 'x-matting': paid ? 'made' : 'hit' }
  const known = request.headers
    .get('if-none-match')
    ?.split(/\s*,\s*/)
    .map((tag) => tag.replace(/^W\//, ''))
  if (known?.includes(etag) || known?.includes('*')) return new Response(null, { status: 304, headers })
  return new Response(null, { status: 302, headers: { ...headers, location: url } })
}
