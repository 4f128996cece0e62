import { createHash, createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Code, MattingError } from './errors.ts'
import { send, within } from './http.ts'

/** What the next system is told of a photo. */
export type Announcement =
  | {
      type: 'cutout.created'
      source: { key: string; etag: string }
      /** The layout's short name. */
      layout: string
      /** `size` in bytes, `width` and `height` in pixels. */
      cutout: { bucket: string; key: string; size: number; width?: number; height?: number; url: string }
      /** The views that are stored as objects. */
      views?: readonly { view: string; bucket: string; key: string; size: number; url: string }[]
    }
  | {
      type: 'cutout.failed' | 'cutout.deferred'
      /** The functions always tell the ETag; the event's schema does not promise it. */
      source: { key: string; etag?: string }
      code: Code
      /** Public text. */
      message: string
      retryable: boolean
    }
  | { type: 'source.skipped'; source: { key: string; etag?: never }; why: string }

export const ANNOUNCEMENTS = [
  'cutout.created',
  'cutout.failed',
  'cutout.deferred',
  'source.skipped',
] as const satisfies readonly Announcement['type'][]

export interface AnnounceOptions {
  /** The receiver; it may hold a token. */
  url: URL
  /** As `readSecret` returns it. */
  secret: Buffer
  /** The bucket of the photos. */
  bucket: string
  region: string
  /** Only these types are sent. */
  types: readonly Announcement['type'][]
  now: () => number
  /**
   * COS's clock: receivers refuse a time that is five minutes wrong (Standard Webhooks), and the clocks of instances can be.
   */
  clock: () => number
  random: () => number
  /** Milliseconds since the epoch, by `now`; nothing is sent or waited for past it. */
  deadline: number
  /** Milliseconds for one attempt. */
  timeout?: number
}

interface Answer {
  /** The status, or the name of the error; nothing of the URL or of the answer's body. */
  what: string
  outcome: 'taken' | 'again' | 'refused'
  /** Milliseconds. */
  retryAfter: number
}

const TIMEOUT = 5_000
/** Mean pause before the second attempt, in milliseconds; it doubles with each attempt. */
const PAUSE = 200

/**
 * The key in a secret as Standard Webhooks writes it (specification, "Signature scheme"): `whsec_` and the base64 of 24 to 64
 * bytes. Undefined if the text has not this form.
 */
export function readSecret(text: string): Buffer | undefined {
  const [, base64 = ''] = /^whsec_(.*)$/.exec(text) ?? []
  const secret = Buffer.from(base64, 'base64')
  // The decoders of receivers are stricter than Node's.
  return secret.length >= 24 && secret.length <= 64 && secret.toString('base64') === base64 ? secret : undefined
}

/**
 * Sends the result for a photo as a CloudEvent 1.0 in JSON (structured mode), signed as in Standard Webhooks. Types that were
 * not asked for are not sent. It is sent again until the receiver takes it (2xx) or refuses it, or time is up. The same news
 * always has the same id, whichever instance sends it, so that a receiver can drop repetitions.
 * @throws MattingError unannounced
 */
export async function announce(announcement: Announcement, options: AnnounceOptions): Promise<void> {
  const { types, now, random, deadline } = options
  if (!types.includes(announcement.type)) return
  const event = cloudEvent(announcement, options)
  const body = JSON.stringify(event)
  let what = 'There was no time to ask the receiver.'
  for (let attempt = 0; now() < deadline; attempt++) {
    const answer = await post(event.id, body, options)
    if (answer.outcome === 'taken') return
    what = `The receiver: ${answer.what}`
    // Random, from zero to twice the mean, so that instances that failed at the same moment do not try again at the same
    // moment.
    const pause = Math.max(2 * random() * PAUSE * 2 ** attempt, answer.retryAfter)
    if (answer.outcome === 'refused' || now() + pause >= deadline) break
    await sleep(pause)
  }
  throw new MattingError('unannounced', undefined, { cause: new MattingError('unavailable', what) })
}

/** CloudEvents 1.0, JSON event format. Its `type` has no reverse-DNS prefix, because this project has no domain. */
function cloudEvent({ type, ...data }: Announcement, { bucket, region, clock }: AnnounceOptions) {
  const { key, etag } = data.source
  const time = new Date(clock()).toISOString()
  // The place of a cutout is part of the news. And a photo that is deferred today may be deferred again tomorrow, which is
  // other news.
  const about =
    'layout' in data
      ? [data.layout, data.cutout.bucket, data.cutout.key, ...(data.views ?? []).map(({ key }) => key)]
      : 'why' in data
        ? [data.why]
        : [data.code, type === 'cutout.deferred' ? time.slice(0, 10) : '']
  // As JSON, so that it is clear where each part ends.
  const identity = JSON.stringify([type, bucket, key, etag, ...about])
  return {
    specversion: '1.0',
    id: createHash('sha256').update(identity).digest('hex').slice(0, 32),
    source: `https://${bucket}.cos.${region}.myqcloud.com`,
    type,
    // Only if the specification's type String allows the key ("Type System") and it is not empty. `data` holds every key.
    ...(/^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]+$/u.test(key) && { subject: key }),
    time,
    datacontenttype: 'application/json',
    data: { ...data, source: { bucket, ...data.source } },
  }
}

/** One attempt. Redirects are not followed, and only the head of an answer is read. */
async function post(id: string, body: string, options: AnnounceOptions): Promise<Answer> {
  const { url, secret, now, clock, deadline, timeout = TIMEOUT } = options
  const timestamp = Math.floor(clock() / 1000)
  const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
  const headers = {
    'content-type': 'application/cloudevents+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  }
  const signal = within(Math.min(timeout, deadline - now()))
  const { protocol, hostname, port, pathname, search } = url
  try {
    const request = {
      protocol,
      hostname,
      port,
      path: pathname + search,
      method: 'POST',
      headers,
      agent: false,
      signal,
      body,
    }
    const response = await send(request)
    response.destroy()
    const { statusCode: status = 0 } = response
    const retryAfter = response.headers['retry-after'] ?? ''
    const again = status >= 500 || status === 408 || status === 429
    return {
      what: String(status),
      outcome: status >= 200 && status < 300 ? 'taken' : again ? 'again' : 'refused',
      retryAfter: /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0,
    }
  } catch (error) {
    // The error itself is not passed on: Node's errors hold the host, and the bytes of a malformed answer.
    const { code = 'error' } = Object(error)
    return { what: signal.aborted ? 'time-out' : code, outcome: 'again', retryAfter: 0 }
  }
}
