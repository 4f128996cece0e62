import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ANNOUNCEMENTS, type Announcement, type AnnounceOptions, announce, readSecret } from '../lib/announce.ts'
import { codes, MattingError } from '../lib/errors.ts'
import { errorFields } from '../lib/log.ts'
import { character } from './helpers/characters.ts'

const SECRET = `whsec_${Buffer.from('twenty-four bytes at least').toString('base64')}`
const BUCKET = 'photos-1250000000'

const source = { key: 'uploads/mug.jpg', etag: 'ab79b09f174381c4ab79b09f174381c4' }
const created: Announcement = {
  type: 'cutout.created',
  source,
  layout: 'plain',
  cutout: {
    bucket: BUCKET,
    key: 'cutouts/uploads/mug.jpg/ab79b09f174381c4ab79b09f174381c4-plain.png',
    size: 48_213,
    url: `https://${BUCKET}.cos.ap-guangzhou.myqcloud.com/cutouts/uploads/mug.jpg/ab79b09f174381c4ab79b09f174381c4-plain.png`,
  },
}
const failure = { code: 'no-product', message: 'No product was found in the photo.', retryable: false } as const
const failed: Announcement = { type: 'cutout.failed', source, ...failure }
const deferred: Announcement = { ...failed, type: 'cutout.deferred', code: 'limit-reached', retryable: true }
const skipped: Announcement = {
  type: 'source.skipped',
  source: { key: 'uploads/a.txt' },
  why: 'not an image by its name',
}

interface Delivery {
  at: number
  headers: IncomingHttpHeaders
  body: string
}

type Handler = (response: ServerResponse, request: IncomingMessage, nth: number) => void

/** A receiver that reads a delivery whole and then does as told; a number is a status. */
async function receiver(...steps: (number | Handler)[]) {
  const deliveries: Delivery[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const nth = deliveries.push({ at: Date.now(), headers: request.headers, body })
    const step = steps[Math.min(nth, steps.length) - 1] ?? 204
    if (typeof step === 'number') response.writeHead(step).end('what is private to the receiver')
    else step(response, request, nth)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  return { deliveries, url: new URL(`http://127.0.0.1:${port}/hook?token=a-token`), server }
}

/** Without pauses, unless `random` says otherwise. */
function options(url: URL, more: Partial<AnnounceOptions> = {}): AnnounceOptions {
  return {
    url,
    secret: readSecret(SECRET) ?? Buffer.alloc(0),
    bucket: BUCKET,
    region: 'ap-guangzhou',
    types: ANNOUNCEMENTS,
    now: Date.now,
    clock: Date.now,
    random: () => 0,
    deadline: Date.now() + 60_000,
    ...more,
  }
}

/** Time for three attempts, however long each of them takes. */
function threeTimes(): Pick<AnnounceOptions, 'now' | 'random' | 'deadline'> {
  let time = 0
  return {
    now: () => time,
    random: () => {
      time += 10_000
      return 0
    },
    deadline: 25_000,
  }
}

async function failureOf(work: Promise<void>): Promise<MattingError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof MattingError)) throw new Error(`expected a MattingError, got ${inspect(thrown)}`)
  return thrown
}

/** As a consumer reads it: verified by the scheme's own library, and valid by the schema of its type. */
function consume({ headers, body }: Delivery) {
  const event = Object(new Webhook(SECRET).verify(body, Object(headers)))
  const validate = validators.get(event.type)
  const valid: unknown = validate?.(event)
  if (valid !== true) throw new Error(`${event.type}: ${JSON.stringify(validate?.errors)}`)
  return event
}

const ajv = new Ajv2020({ allErrors: true })
formats.default(ajv)
const schemas = new Map<string, Record<string, unknown>>(
  ANNOUNCEMENTS.map((type) => [
    type,
    JSON.parse(readFileSync(new URL(`../docs/events/${type}.json`, import.meta.url), 'utf8')),
  ]),
)
const validators = new Map([...schemas].map(([type, schema]) => [type, ajv.compile(schema)]))

describe('an event', () => {
  it.each([created, failed, deferred, skipped])('$type is signed, and valid by its schema', async (announcement) => {
    const { url, deliveries } = await receiver(204)
    const now = Date.now()
    await announce(announcement, options(url, { clock: () => now }))
    const [delivery] = deliveries
    if (!delivery) throw new Error('none came')
    const { type, source, ...rest } = announcement
    expect(consume(delivery)).toEqual({
      specversion: '1.0',
      id: delivery.headers['webhook-id'],
      source: 'https://photos-1250000000.cos.ap-guangzhou.myqcloud.com',
      type,
      subject: source.key,
      time: new Date(now).toISOString(),
      datacontenttype: 'application/json',
      data: { source: { bucket: BUCKET, ...source }, ...rest },
    })
    expect(delivery.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'content-length': String(Buffer.byteLength(delivery.body)),
      'webhook-timestamp': String(Math.floor(now / 1000)),
    })
    expect(deliveries).toHaveLength(1)
  })

  it('of every code there is, and without an ETag, is valid', async () => {
    const { url, deliveries } = await receiver(204)
    for (const [code, { message, retryable }] of codes) {
      // What is left of the codes' names is text.
      const known = code as MattingError['code']
      await announce(
        { type: 'cutout.failed', source: { key: 'uploads/a.jpg' }, code: known, message, retryable },
        options(url),
      )
    }
    expect(deliveries.map((delivery) => consume(delivery).data.code)).toEqual([...codes.keys()])
  })

  it('carries any key', async () => {
    const { url, deliveries } = await receiver(204)
    const key = fc.oneof(fc.string({ unit: character, maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 60 }))
    const odd = ['', 'uploads/😀 "mug".jpg', 'a\u0000b', 'a\nb', 'x\ufffe', '\u{1fffe}', '红/é', '\ud800']
    await fc.assert(
      fc.asyncProperty(key, async (key) => {
        await announce({ ...failed, source: { key } }, options(url))
        const delivery = deliveries.at(-1)
        const event = delivery && consume(delivery)
        expect(event.data.source.key).toBe(key)
        // CloudEvents' type String: neither controls, nor noncharacters, nor half a pair.
        const allowed = [...key].every((char) => {
          const code = char.codePointAt(0) ?? 0
          const control = code < 0x20 || (code >= 0x7f && code < 0xa0)
          const noncharacter = (code & 0xfffe) === 0xfffe || (code >= 0xfdd0 && code < 0xfdf0)
          return !control && !noncharacter && !(code >= 0xd800 && code < 0xe000)
        })
        expect(event.subject).toBe(allowed && key !== '' ? key : undefined)
      }),
      { numRuns: 60, examples: odd.map((key) => [key]) },
    )
  })

  it('is the one that docs/events.md shows', async () => {
    const readme = readFileSync(new URL('../docs/events.md', import.meta.url), 'utf8')
    const [, example = ''] = /```json\n(\{\s*"specversion".*?\n)```/s.exec(readme) ?? []
    const { url, deliveries } = await receiver(204)
    await announce(created, options(url, { clock: () => Date.parse(JSON.parse(example).time) }))
    expect(JSON.parse(deliveries[0]?.body ?? '')).toEqual(JSON.parse(example))
  })

  it.each([
    ['an unknown field in data', (event: Record<string, unknown>) => Object.assign(Object(event.data), { more: 1 })],
    [
      'an unknown field in source',
      (event: Record<string, unknown>) => Object.assign(Object(event.data).source, { more: 1 }),
    ],
    ['another type', (event: Record<string, unknown>) => Object.assign(event, { type: 'other' })],
    ['an empty subject', (event: Record<string, unknown>) => Object.assign(event, { subject: '' })],
    ['no time', (event: Record<string, unknown>) => delete event.time],
  ])('with %s is not valid', async (_, change) => {
    const { url, deliveries } = await receiver(204)
    for (const announcement of [created, failed, deferred, skipped]) {
      await announce(announcement, options(url))
      const event = JSON.parse(deliveries.at(-1)?.body ?? '')
      expect(validators.get(announcement.type)?.(event)).toBe(true)
      change(event)
      expect(validators.get(announcement.type)?.(event)).toBe(false)
    }
  })

  it('is not sent if its type was not asked for', async () => {
    const { url, deliveries } = await receiver(204)
    for (const announcement of [created, failed, deferred, skipped]) {
      await announce(announcement, options(url, { types: ['cutout.failed'] }))
    }
    expect(deliveries.map((delivery) => consume(delivery).type)).toEqual(['cutout.failed'])
  })
})

describe('the id of an event', () => {
  const word = fc.constantFrom('', 'a', 'b', 'a"', '","', 'a,b', '\ud800', '\ud801')
  /** Type, bucket, key, ETag, layout or code. */
  const news = fc.tuple(
    fc.constantFrom(...ANNOUNCEMENTS),
    fc.constantFrom('a-1', 'b-1'),
    word,
    fc.option(word),
    fc.constantFrom('busy', 'changed'),
  )
  /** No part of the news. */
  let size = 0
  type News = typeof news extends fc.Arbitrary<infer T> ? T : never

  function announcement([type, , key, etag, what]: News): Announcement {
    if (type === 'cutout.created') {
      const cutout = { bucket: BUCKET, key: 'c', size: size++, url: 'http://a/' }
      return { type, source: { key, etag: etag ?? '' }, layout: what, cutout }
    }
    if (type === 'source.skipped') return { type, source: { key }, why: what }
    return { type, source: { key, ...(etag !== null && { etag }) }, code: what, message: 'm', retryable: true }
  }

  /** What is the same news, told otherwise than by the code. */
  function text(news: News): string {
    const { type, source, ...rest } = announcement(news)
    const what = 'layout' in rest ? rest.layout : 'code' in rest ? rest.code : rest.why
    return inspect([type, news[1], source.key, source.etag, what])
  }

  it('is another one where the cutout lies elsewhere, and for what is deferred again on another day', async () => {
    const { url, deliveries } = await receiver(204)
    const elsewhere = { bucket: 'other-1250000000', key: 'c', size: 1, url: 'http://a/' }
    const at = (day: number) => options(url, { clock: () => Date.UTC(2026, 0, day) })
    for (const day of [1, 2]) for (const one of [created, failed, deferred]) await announce(one, at(day))
    await announce({ ...created, cutout: elsewhere }, at(1))
    const ids = deliveries.map(({ body }) => JSON.parse(body).id)
    expect([ids[0] === ids[3], ids[1] === ids[4], ids[2] === ids[5], ids[0] === ids[6]]).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  it('is the same for the same news, at any time and from anybody, and another for any other', async () => {
    const { url, deliveries } = await receiver(204)
    let calls = 0
    async function idOf(news: News): Promise<string> {
      // Within a day.
      const now = () => Date.UTC(2026, 0, 1) + calls++
      await announce(
        announcement(news),
        options(url, { bucket: news[1], now, secret: Buffer.alloc(24, calls), deadline: Number.POSITIVE_INFINITY }),
      )
      return JSON.parse(deliveries.at(-1)?.body ?? '').id
    }
    await fc.assert(
      fc.asyncProperty(news, news, async (one, other) => {
        const ids = [await idOf(one), await idOf(other), await idOf(one)]
        expect(ids[0]).toMatch(/^[0-9a-f]{32}$/)
        expect(ids[2]).toBe(ids[0])
        expect(ids[1] === ids[0]).toBe(text(one) === text(other))
      }),
      { numRuns: 60 },
    )
  })
})

const reset: Handler = (_, request) => request.socket.resetAndDestroy()
const hangUp: Handler = (_, request) => request.socket.destroy()
const silence: Handler = () => {}
const garbage: Handler = (_, request) => request.socket.end('what is private to the receiver\r\n\r\n')
const redirect: Handler = (response) => response.writeHead(307, { location: '/elsewhere' }).end()

/** A key and a certificate that nobody vouches for, made here and now; none where there is no openssl. */
const pem = spawnSync(
  'openssl',
  [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-'],
    ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
  ],
  { encoding: 'utf8' },
).stdout
if (!pem) console.warn('SKIPPED: events over https, for there is no openssl here')

describe('a delivery', () => {
  it.each<[string, (number | Handler)[], number, string | undefined]>([
    ['200', [200], 1, undefined],
    ['202', [202], 1, undefined],
    ['299', [299], 1, undefined],
    ['500, then 204', [500, 204], 2, undefined],
    ['502, 503, 504, then 204', [502, 503, 504, 204], 4, undefined],
    ['408, 429, then 204', [408, 429, 204], 3, undefined],
    ['a reset after all was read, then 204', [reset, 204], 2, undefined],
    ['a connection that is closed, then 204', [hangUp, 204], 2, undefined],
    ['no answer in time, then 204', [silence, 204], 2, undefined],
    ['an answer that is no HTTP, then 204', [garbage, 204], 2, undefined],
    ['503, then 400', [503, 400], 2, '400'],
    ['300', [300], 1, '300'],
    ['304', [304], 1, '304'],
    ['307, which is not followed', [redirect], 1, '307'],
    ['400', [400], 1, '400'],
    ['401', [401], 1, '401'],
    ['404', [404], 1, '404'],
    ['410', [410], 1, '410'],
    ['422', [422], 1, '422'],
  ])('%s', async (_, steps, attempts, refused) => {
    const { url, deliveries } = await receiver(...steps)
    const done = announce(created, options(url, { timeout: steps.includes(silence) ? 2_000 : 60_000 }))
    if (refused === undefined) await done
    else {
      const error = await failureOf(done)
      expect([error.code, error.status, error.retryable]).toEqual(['unannounced', 503, true])
      expect(errorFields(error).cause).toBe(`The receiver: ${refused}`)
    }
    expect(deliveries).toHaveLength(attempts)
    // Sent again it is the same event, byte for byte.
    expect(new Set(deliveries.map(({ body }) => body)).size).toBe(1)
    expect(new Set(deliveries.map((delivery) => consume(delivery).id)).size).toBe(1)
  })

  it('hangs up once it is answered, whatever else would come', async () => {
    const { url, server } = await receiver((response) => response.writeHead(200).write('a body without an end'))
    const closed = new Promise((resolve) => server.once('connection', (socket) => socket.once('close', resolve)))
    // So late that to wait for it would end this test.
    await announce(created, options(url, { deadline: Date.now() + 600_000, timeout: 600_000 }))
    await closed
  })

  it('is signed anew each time, for its own time', async () => {
    const { url, deliveries } = await receiver(500, 204)
    const start = Date.now()
    let asked = 0
    await announce(created, options(url, { clock: () => start + 1_000 * asked++ }))
    const [first, second] = deliveries
    expect(first?.headers['webhook-timestamp']).not.toBe(second?.headers['webhook-timestamp'])
    expect(first?.headers['webhook-signature']).not.toBe(second?.headers['webhook-signature'])
    expect(first?.body).toBe(second?.body)
    for (const delivery of deliveries) consume(delivery)
  })

  it('waits longer each time: by the mean 0.2 s, then 0.4 s', async () => {
    const { url, deliveries } = await receiver(500, 500, 204)
    await announce(created, options(url, { random: () => 0.5 }))
    const [first = 0, second = 0, third = 0] = deliveries.map(({ at }) => at)
    expect(second - first).toBeGreaterThanOrEqual(195)
    expect(third - second).toBeGreaterThanOrEqual(395)
  })

  it('waits as long as Retry-After says', async () => {
    const { url, deliveries } = await receiver((response) => response.writeHead(429, { 'retry-after': '1' }).end(), 204)
    await announce(created, options(url))
    const [first = 0, second = 0] = deliveries.map(({ at }) => at)
    expect(second - first).toBeGreaterThanOrEqual(995)
  })

  it.each([
    ['later than its deadline', '601'],
    ['never', '9'.repeat(400)],
  ])('gives up at once if Retry-After is %s', async (_, seconds) => {
    const { url, deliveries } = await receiver((response) => response.writeHead(503, { 'retry-after': seconds }).end())
    // So late that to wait for it would end this test.
    const error = await failureOf(announce(created, options(url, { deadline: Date.now() + 600_000 })))
    expect([error.code, errorFields(error).cause, deliveries.length]).toEqual(['unannounced', 'The receiver: 503', 1])
  })

  it.each(['soon', '-1', 'Wed, 21 Oct 2099 07:28:00 GMT'])('does not mind a Retry-After of %s', async (value) => {
    const { url, deliveries } = await receiver(
      (response) => response.writeHead(503, { 'retry-after': value }).end(),
      204,
    )
    await announce(created, options(url))
    expect(deliveries).toHaveLength(2)
  })

  it('starts no attempt after its deadline', async () => {
    const { url, deliveries } = await receiver(500)
    const clock = threeTimes()
    const error = await failureOf(announce(created, options(url, clock)))
    expect([error.code, errorFields(error).cause, deliveries.length]).toEqual(['unannounced', 'The receiver: 500', 3])
    const late = await failureOf(announce(created, options(url, clock)))
    expect([late.code, errorFields(late).cause]).toEqual(['unannounced', 'There was no time to ask the receiver.'])
    expect(deliveries).toHaveLength(3)
  })

  it('is not waited for past its deadline', async () => {
    const { url, deliveries } = await receiver(silence)
    // So long that to wait for it would end this test.
    const time = { deadline: Date.now() + 1_000, timeout: 600_000 }
    const error = await failureOf(announce(created, options(url, time)))
    expect([error.code, errorFields(error).cause, deliveries.length]).toEqual([
      'unannounced',
      'The receiver: time-out',
      1,
    ])
  })

  it('to nobody is tried again until its deadline', async () => {
    const { url, server } = await receiver()
    await new Promise((resolve) => server.close(resolve))
    const error = await failureOf(announce(created, options(url, threeTimes())))
    expect([error.code, errorFields(error).cause]).toEqual(['unannounced', 'The receiver: ECONNREFUSED'])
  })

  it.skipIf(!pem)('by https is not made to a receiver that nobody vouches for', async () => {
    let received = 0
    const server = createTlsServer({ key: pem, cert: pem }, (_, response) => {
      received++
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close().closeAllConnections())
    const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const error = await failureOf(announce(created, options(url, threeTimes())))
    expect([errorFields(error).cause, received]).toEqual(['The receiver: DEPTH_ZERO_SELF_SIGNED_CERT', 0])
  })

  it.each<[string, number | Handler | URL]>([
    ['a refusal', 401],
    ['no answer', silence],
    ['a reset', reset],
    ['an answer that is no HTTP', garbage],
    ['no such host', new URL('http://a-host.invalid/hook?token=a-token')],
    ['no listener', new URL('http://127.0.0.1:1/a-token')],
    ['a password that cannot be read', new URL('http://user:a-token%zz@127.0.0.1:1/')],
  ])('that fails keeps its secrets: %s', async (_, step) => {
    const url = step instanceof URL ? step : (await receiver(step)).url
    const error = await failureOf(announce(created, options(url, { deadline: Date.now() + 150, random: () => 0.4 })))
    const told = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(errorFields(error))
    expect(told).not.toMatch(/a-token|a-host|hook|whsec|private|127\.0\.0\.1/)
    expect(told).not.toContain(SECRET.slice(6, 20))
  })
})

describe('readSecret', () => {
  const written = (bytes: number) => `whsec_${Buffer.alloc(bytes, 0xfb).toString('base64')}`

  it('reads what the scheme’s own library reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), fc.string(), (bytes, body) => {
        const text = `whsec_${Buffer.from(bytes).toString('base64')}`
        expect(readSecret(text)).toEqual(Buffer.from(bytes))
        const raw = new Webhook(readSecret(text) ?? '', { format: 'raw' })
        expect(raw.sign('id', new Date(0), body)).toBe(new Webhook(text).sign('id', new Date(0), body))
      }),
    )
  })

  it.each([
    ['nothing', ''],
    ['no prefix', written(32).slice(6)],
    ['another prefix', written(32).replace('whsec', 'whsk')],
    ['23 bytes', written(23)],
    ['65 bytes', written(65)],
    ['no padding', written(32).replace('=', '')],
    ['base64url', written(33).replaceAll('+', '-').replaceAll('/', '_')],
    ['a space', `${written(24)} `],
    ['a line break', `${written(24)}\n`],
    ['two', `${written(24)} ${written(24)}`],
  ])('refuses %s', (_, text) => {
    expect(readSecret(text)).toBeUndefined()
  })
})
