import { hash } from 'node:crypto'
import { type Asked, readRequest, safePath } from '../../lib/asked.ts'
import type { Config } from '../../lib/config.ts'
import { MattingError } from '../../lib/errors.ts'
import type { Picture } from '../../lib/external.ts'
import { type Invocation, timed } from '../../lib/invocation.ts'
import { layoutName, parameters } from '../../lib/layout.ts'
import { errorFields, log } from '../../lib/log.ts'
import { ensure, type Source } from '../../lib/pay/pay.ts'
import { MAX_PICTURE } from '../../lib/pixels.ts'
import { type Basis, basisOf, prepare } from '../../lib/show.ts'
import { encodeKey } from '../../lib/sign.ts'
import { formatFor, operations, type View } from '../../lib/view.ts'
import type { HttpRequest, HttpResponse } from './event.ts'
import { json, OPEN, timing } from './problem.ts'

export interface ImageInvocation extends Invocation {
  /** Asks for a picture elsewhere; undefined if there is none. */
  lookAt: (url: URL) => Promise<Picture | undefined>
  /** Milliseconds since some moment, by a clock that nobody can set; the clock of `now` can be set. */
  steady: () => number
  /** What this instance has seen. An entry counts for as long as a redirect to it may be cached. */
  known: Map<string, Known>
}

/** The result of a request: a cutout, or only its source (direct delivery), or a photo in which there is nothing to cut out. */
interface Known {
  source: Source
  /** What is shown, the cutout or what a view is made from; undefined if there is none. */
  basis: Basis | undefined
  /** When the source was asked for, in milliseconds since the epoch and by the steady clock. */
  at: number
  steady: number
  /** How far COS's clock was ahead at that time, in milliseconds: at least `skew`, at most `skew + doubt`. */
  skew: number
  doubt: number
  blank?: MattingError
}

/** The largest number of results that an instance remembers. */
const MAX_KNOWN = 10_000
/** How long a redirect to the photo, instead of its cutout, may be cached, in seconds. */
const ORIGINAL_TTL = 30
/** No answer points to a presigned URL in its last seconds. */
const LAST_SECONDS = 30
/** COS's clock is read from dates, which have whole seconds; in milliseconds. */
const DATE_STEP = 1_000
/**
 * If the two clocks of an instance differ by more than this about the time that passed, one was set or stood still. In
 * milliseconds.
 */
const TOLERANCE = 500

/**
 * Answers with a redirect to the cutout, which is made if it is not there; HEAD never makes one.
 * @throws MattingError; `problem` turns it into an answer.
 */
export async function image(request: HttpRequest, invocation: ImageInvocation): Promise<HttpResponse> {
  const { config, now, known } = invocation
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new MattingError('method-refused')
  const url = new URL(request.url)
  if (url.pathname === '/') return help(config)
  if (url.pathname === '/healthz') return json({ status: 'ok' })
  const asked = readRequest(url, config, request.decoded)
  // As JSON, because a key may hold a line break or any other separator.
  const id = JSON.stringify([layoutName(asked.layout), basisOf(asked.view), ...asked.sources])
  // Whoever has just replaced a photo need not wait for REDIRECT_TTL. Not so elsewhere: a look may fetch the whole picture, and
  // where its host gives other bytes each time, a stranger's reloads would be paid.
  const anew = request.anew && asked.sources.every((source) => typeof source === 'string')
  const hit = anew ? undefined : known.get(id)
  if (hit && isCurrent(hit, invocation, asked)) {
    if (!hit.blank) return redirect(request, invocation, asked, hit)
    return fallBack(request, invocation, asked, hit, hit.blank)
  }
  known.delete(id)

  const [at, steady] = [now(), invocation.steady()]
  const source = await timed(invocation, 'look', findSource(invocation, asked))
  const skew = invocation.cos.clock() - now()
  const seen = { source, basis: undefined, at, steady, skew, doubt: DATE_STEP + now() - at }
  try {
    const { cutout, obtained } = await obtain(request, invocation, asked, source)
    const basis = cutout && (await timed(invocation, 'look', prepare(invocation, cutout, asked.view)))
    remember(known, id, { ...seen, basis })
    return redirect(request, invocation, asked, { ...seen, basis }, obtained)
  } catch (thrown) {
    const error = MattingError.from(thrown)
    if (error.code === 'no-product') remember(known, id, { ...seen, blank: error })
    return fallBack(request, invocation, asked, seen, error)
  }
}

function remember(known: Map<string, Known>, id: string, seen: Known): void {
  known.set(id, seen)
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
}

/** The answer when there is no cutout: a redirect to the photo, or the error. @throws MattingError */
function fallBack(
  request: HttpRequest,
  invocation: ImageInvocation,
  asked: Asked,
  seen: Known,
  error: MattingError,
): HttpResponse {
  const choice = error.code === 'not-made' ? 'error' : error.code === 'pending' ? asked.onPending : asked.onFailure
  if (choice !== 'original') throw error
  if (error.status >= 500 && error.code !== 'pending') {
    log({ function: 'image', path: safePath(request.url), outcome: 'original', ...errorFields(error) })
  }
  return redirect(request, invocation, asked, seen, 'original')
}

function help({ presets, access, detectHosts }: Config): HttpResponse {
  return json({
    usage: access === 'signed' ? '/<layout>/<key>?exp=…&kid=…&sig=…' : '/<layout>/<key>',
    layouts: [
      ...presets.keys(),
      ...(access === 'presets' ? [] : ['center-layout=1,padding-layout=20x10', 'plain,width=400,format=webp']),
    ],
    ...(detectHosts.length > 0 && { elsewhere: '/<layout>/https%3A%2F%2F<host>%2F…' }),
  })
}

/**
 * Whether the known result may be the answer, with no request to COS. Not if the URL's signature may have ended, because only
 * COS's clock can tell. Not if this instance's two clocks disagree about the time since then: one of them was set, or stood
 * still while the instance was frozen, so COS's time is not known now.
 */
function isCurrent({ at, steady, skew, doubt }: Known, invocation: ImageInvocation, { expires }: Asked): boolean {
  const now = invocation.now()
  const age = now - at
  if (age >= invocation.config.redirectTtl * 1000 || now + skew + doubt >= expires * 1000) return false
  return Math.abs(invocation.steady() - steady - age) <= TOLERANCE
}

/** @throws MattingError expired, not-found, ambiguous-key, or the reason why COS or the host did not tell */
async function findSource({ config, cos, lookAt }: ImageInvocation, { sources, expires }: Asked): Promise<Source> {
  const [folder = ''] = config.sourcePrefixes
  const looks = sources.map(async (source) => {
    // COS is always asked, because its answer tells the time. For a picture elsewhere any key will do.
    const photo = await cos.head(typeof source === 'string' ? source : folder)
    if (cos.clock() >= expires * 1000) throw new MattingError('expired')
    const found = typeof source === 'string' ? photo : await lookAt(source)
    return found && { key: String(source), ...found }
  })
  const [source, other] = (await Promise.all(looks)).filter((found) => found !== undefined)
  if (!source) throw new MattingError('not-found')
  // Nobody knows which photo is meant, and one product must not be shown for another.
  if (other) throw new MattingError('ambiguous-key')
  return source
}

/** The cutout, which is made if it is missing, and how it was obtained. @throws MattingError */
async function obtain(
  { method }: HttpRequest,
  invocation: ImageInvocation,
  { layout, onPending }: Asked,
  source: Source,
) {
  const { delivery, maxSourceBytes } = invocation.config
  if (delivery === 'direct') {
    if (source.size > maxSourceBytes) throw new MattingError('too-large')
    return { cutout: undefined, obtained: 'direct' }
  }
  const options = { pay: method === 'GET', wait: onPending === 'wait' }
  const [cutout] = await ensure(invocation, 'url', source, [layout], options)
  if (!cutout) throw new MattingError('internal')
  return { cutout, obtained: cutout.obtained }
}

/** A redirect to the cutout, or to what is delivered instead of it. */
function redirect(
  request: HttpRequest,
  invocation: ImageInvocation,
  asked: Asked,
  { source, basis, at, skew, doubt }: Known,
  obtained = 'hit',
): HttpResponse {
  const { config, now, spent } = invocation
  // By COS's clock, which decides whether a signature has ended; the clocks of instances differ by minutes.
  const seconds = (now() + skew) / 1000
  const how = obtained === 'hit' && !basis ? 'direct' : obtained
  const { url, until } = locate(request, invocation, asked, source, basis, how, Math.floor(seconds))
  const life = Math.max(0, Math.floor(Math.min(until, asked.expires) - seconds - doubt / 1000))
  // Less the time that this instance has known it; otherwise a changed photo could stay unseen for twice REDIRECT_TTL.
  const age = Math.ceil((now() - at) / 1000)
  const ttl = Math.min(life, how === 'original' ? ORIGINAL_TTL : Math.max(0, config.redirectTtl - age))
  const stale = how === 'original' ? 0 : Math.min(config.redirectTtl, life - ttl)
  // Of the whole URL: if it were of the picture only, a 304 could keep a Location in use whose signature has ended.
  const etag = `"${hash('sha1', url).slice(0, 16)}"`
  const kept = `${asked.shared ? 'public' : 'private'}, max-age=${ttl}${stale > 0 ? `, stale-while-revalidate=${stale}` : ''}`
  const headers = {
    ...OPEN,
    ...timing(spent),
    // Each fetch of a direct URL is a paid call, so no cache may give it to somebody else.
    'cache-control': how === 'direct' ? 'private, no-store' : kept,
    etag,
    ...(asked.view?.format === 'auto' && { vary: 'accept' }),
    'x-matting': how,
  }
  // Not split at commas with the space around them: the time for that grows with the square of a stranger's spaces.
  const tags = request.ifNoneMatch?.split(',') ?? []
  if (tags.some((tag) => tag.trim().replace(/^W\//, '') === etag)) return { status: 304, headers, body: '' }
  return { status: 302, headers: { ...headers, location: url }, body: '' }
}

/** The URL where the picture can be fetched, and until when, in Unix seconds. */
function locate(
  { accept = '' }: HttpRequest,
  { config, cos, store }: ImageInvocation,
  { layout, view }: Asked,
  source: Source,
  basis: Basis | undefined,
  how: string,
  seconds: number,
): { url: string; until: number } {
  const { deliveryUrl, deliveryKey, urlWindow } = config
  const key = basis?.key ?? source.key
  if (how === 'original' && source.asked) return { url: source.asked.url, until: Number.POSITIVE_INFINITY }
  const shown = how === 'original' ? ofPhoto(view, source) : view
  const processing = shown ? operations(shown, formatFor(shown, accept, config.avif), basis?.frame) : ''
  if (how !== 'direct' && deliveryUrl) {
    const query = processing && `?${processing.replaceAll('|', '%7C')}`
    return { url: deliveryUrl + encodeKey(key) + query, until: Number.POSITIVE_INFINITY }
  }
  // Everybody gets the same URL within a window, so that caches can keep the picture. It is valid for one more window after
  // that.
  const start = seconds - (seconds % urlWindow)
  const end = start + 2 * urlWindow
  const until = end - LAST_SECONDS
  if (how === 'direct') {
    const query = { ...parameters(layout), ...(source.url && { 'detect-url': source.url }) }
    return { url: cos.presign(source.url ? '' : key, start - 300, end, { query }), until }
  }
  // What is asked is signed, as a parameter without a value. It starts earlier than now, because the clocks of instances differ.
  const query = processing ? { query: { [processing]: '' } } : {}
  const bucket = basis ? store : cos
  return { url: bucket.presign(key, start - 300, end, { signer: deliveryKey, ...query }), until }
}

/** A view of the photo itself, shown instead of its cutout. It has no frame, and no ground under it. */
function ofPhoto(view: View | undefined, { size }: Source): View | undefined {
  return view && size <= MAX_PICTURE ? { ...view, trim: false, margin: 0, background: undefined } : undefined
}
