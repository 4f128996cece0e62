import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { UrlResult } from '../functions/image/event.ts'
import { cutoutFolder, cutoutKey } from '../lib/cutout.ts'
import { codes } from '../lib/errors.ts'
import { parseLayout } from '../lib/layout.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import { character } from './helpers/characters.ts'
import { photo, putQuietly, startTestCloud, type TestCloud } from './helpers/cloud.ts'

// The built image function in this very process, asked far more often than HTTP would allow; `npm run prove` asks ten times as often.
const RUNS = Number(process.env.FUZZ_RUNS ?? 10_000)
const SEED = Number(process.env.FUZZ_SEED ?? 1)

const PHOTOS = ['uploads/mug.jpg', 'uploads/a+b (红)%20c.jpg']
/** In no source folder; with the name of a cutout. */
const HIDDEN = ['other/secret.jpg', 'uploads/x/0123456789abcdef-plain.png']
const KEYS = [...PHOTOS, ...HIDDEN, 'uploads/gone.jpg']
const LAYOUTS = [
  'plain',
  'center-layout=1,padding-layout=2x1',
  'plain,width=40,height=30,trim=1,format=auto',
  'background=ff8800,format=jpg',
]
const SECRETS: Record<string, string> = { new: 'sixteen-characters-and-more', old: 'another-secret-rotated-out-soon' }

let cloud: TestCloud
/** Key → ETag. */
const etags = new Map<string, string>()
/** The requests of this test itself. */
let ours: string[] = []
/** Every cutout that a redirect has led to. */
const shown = new Set<string>()

beforeAll(async () => {
  cloud = await startTestCloud()
  for (const key of [...PHOTOS, ...HIDDEN]) {
    await putQuietly(cloud, key, await photo())
    etags.set(key, (await cloud.bucket.head(key))?.etag ?? '')
  }
  ours = cloud.cos.requests().map(({ id }) => id)
})
afterAll(() => {
  vi.unstubAllEnvs()
  return cloud.close()
})

/** An instance of its own: it reads its configuration once. */
function load(environment: Record<string, string>) {
  const require = createRequire(import.meta.url)
  const file = require.resolve('../dist/image.js')
  delete require.cache[file]
  const { main_handler } = require(file)
  const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl, CLAIM_TIME: '6' }
  const role = { TENCENTCLOUD_SECRETID: CREDENTIALS.secretId, TENCENTCLOUD_SECRETKEY: CREDENTIALS.secretKey }
  for (const [name, value] of Object.entries({ ...place, ...role, ...environment })) vi.stubEnv(name, value)
  return (event: unknown): Promise<UrlResult> => main_handler(event, { getRemainingTimeInMillis: () => 30_000 })
}

/** What a URL that was signed here lets in, by its query; signed by node:crypto alone. */
const grants = new Map<string, { layout: string; key: string; live: boolean }>()

function signed(layout: string, key: string, id: string, secret = '', expires = 99_999_999_999): string {
  const hmac = createHmac('sha256', secret).update(`${layout}\n${key}\n${expires}`)
  const query = `exp=${expires}&kid=${id}&sig=${hmac.digest('base64url')}`
  grants.set(query, { layout, key, live: SECRETS[id] === secret && expires > 2_000_000_000 })
  return `${url(layout, key)}?${query}`
}

function url(layout: string, key: string): string {
  return `/${layout}/${key.split('/').map(encodeURIComponent).join('/')}`
}

const plainUrls = LAYOUTS.flatMap((layout) => KEYS.map((key) => url(layout, key)))
const signedUrls = LAYOUTS.flatMap((layout) =>
  KEYS.flatMap((key) => [
    ...Object.entries(SECRETS).map(([id, secret]) => signed(layout, key, id, secret)),
    signed(layout, key, 'new', SECRETS.new, 1_000_000_000),
    signed(layout, key, 'new', SECRETS.old),
    signed(layout, key, 'unknown', 'a-secret-that-is-known-nowhere'),
  ]),
)

const char = fc.oneof(
  fc.constantFrom(...'/%.=,&?#+\\"\'~_-:@;0159afxAF \0\n\x7f红\ud800'),
  fc.constantFrom(
    '%2F',
    '%2e%2E',
    '%00',
    '%zz',
    '..',
    '/../',
    '//',
    '&exp=1',
    '&sig=',
    'plain',
    'uploads/',
    'other/',
    ',width=',
    ',trim=1',
  ),
)

/** One change of a text, at so many thousandths of its length. */
const change = fc.tuple(fc.nat(8), fc.nat(999), fc.nat(9), char)

function changed(text: string, [kind, part, length, char]: [number, number, number, string]): string {
  const at = Math.floor((part * text.length) / 1_000)
  const [before, piece, after] = [text.slice(0, at), text.slice(at, at + length), text.slice(at + length)]
  const encoded = (piece: string) => [...Buffer.from(piece)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
  return (
    [
      () => before + char + text.slice(at + 1),
      () => before + char + text.slice(at),
      () => before + after,
      () => before + piece + piece + after,
      () => before + (text[at + 1] ?? '') + (text[at] ?? '') + text.slice(at + 2),
      () => before + encoded(piece).join('') + after,
      () => before + encodeURIComponent(Buffer.from(piece).toString()) + after,
      () => before,
      () => `${text}${char.repeat(300)}`,
    ][kind]?.() ?? text
  )
}

const junk = fc.oneof(
  fc.constantFrom(null, undefined, 0, -1.5, true, '', [], {}, [['exp', '1']], { toString: 1 }, { a: { b: [] } }),
  fc.constantFrom('/', '/plain', '\ud800', 'x'.repeat(20_000), '/plain/uploads/'.repeat(999), ['GET'], '__proto__'),
  fc.string({ unit: character }),
)

const QUERIES = ['queryString', 'rawQueryString', 'queryStringParameters', 'multiValueQueryStringParameters']
const FIELDS = ['path', 'rawPath', 'httpMethod', 'requestContext', ...QUERIES, 'headers']

function seldom<T>(arbitrary: fc.Arbitrary<T>) {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary })
}

function requests(urls: readonly string[]) {
  return fc.record({
    text: fc.oneof(
      { weight: 19, arbitrary: fc.constantFrom(...urls) },
      { weight: 1, arbitrary: fc.string({ unit: character }) },
    ),
    changes: fc.array(change, { maxLength: 3 }),
    method: fc.oneof(
      { weight: 18, arbitrary: fc.constantFrom('GET', 'GET', 'HEAD') },
      { weight: 1, arbitrary: fc.constantFrom('POST', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'GET ', '') },
    ),
    lambda: fc.boolean(),
    header: seldom(
      fc.tuple(
        fc.constantFrom(
          'if-none-match',
          'If-None-Match',
          'Accept',
          'host',
          'range',
          'x-forwarded-for',
          '__proto__',
          ':path',
          '',
        ),
        fc.oneof(fc.constantFrom('*', '"x", *', 'W/"x"', 'image/webp', '红', '\n'), junk),
      ),
    ),
    /** Instead of one of the event's fields, or of all of it. */
    odd: seldom(fc.tuple(fc.constantFrom(...FIELDS, ''), junk)),
  })
}

type Asked = ReturnType<typeof requests> extends fc.Arbitrary<infer T> ? T : never

function toEvent({ text, changes, method, lambda, header, odd }: Asked): unknown {
  const [, path = '', search = ''] = /^([^?]*)\??(.*)$/s.exec(changes.reduce(changed, text)) ?? []
  const headers = header ? { [header[0]]: header[1] } : {}
  const event: Record<string, unknown> = lambda
    ? { rawPath: path, rawQueryString: search, requestContext: { http: { method } }, headers }
    : { path, queryString: Object.fromEntries(new URLSearchParams(search)), httpMethod: method, headers }
  if (odd?.[0] === '') return odd[1]
  return odd ? { ...event, [odd[0]]: odd[1] } : event
}

/** The live grant in an event's query. */
function grantIn(event: unknown) {
  const { rawQueryString: raw, queryString } = Object(event)
  const strings = Object.entries(Object(queryString)).map(([name, value]) => [name, String(value)])
  // Of a raw query the URL parser leaves out line breaks, and control characters at its end.
  const query =
    typeof raw === 'string' ? new URL(`http://x?${raw}`).searchParams : new URLSearchParams(Object.fromEntries(strings))
  const grant = grants.get(['exp', 'kid', 'sig'].map((name) => `${name}=${query.getAll(name).join()}`).join('&'))
  return grant?.live ? grant : undefined
}

function isOf(cutout: string, layout: string, key: string): boolean {
  const words = layout.split(',').filter((word) => word.includes('-layout='))
  const right = cutoutKey('cutouts/', { key, etag: etags.get(key) ?? '' }, parseLayout(words.join(','), ','))
  // A view may be made from the cutout's ground.
  return cutout === right || cutout.startsWith(`${right.replace(/\.png$/, '')}/ground-`)
}

/** Whether an event may be shown this cutout; '' is any. */
const MAY_SEE: Record<string, (cutout: string, event: unknown) => boolean> = {
  signed: (cutout, event) => {
    const grant = grantIn(event)
    return grant !== undefined && PHOTOS.includes(grant.key) && (cutout === '' || isOf(cutout, grant.layout, grant.key))
  },
  presets: (cutout) => cutout === '' || PHOTOS.some((key) => isOf(cutout, 'plain', key)),
  open: (cutout) => cutout === '' || PHOTOS.some((key) => cutout.startsWith(cutoutFolder('cutouts/', key))),
}

/** Whether an answer is right; without `expect`, which takes longer than the answer. */
function isRight(access: string, event: unknown, { statusCode, headers, body }: UrlResult): boolean {
  // The help and /healthz, which tell nothing of a photo.
  if (statusCode === 200) return /^\{"(usage|status)":/.test(body)
  if (statusCode === 302 || statusCode === 304) {
    const cutout = statusCode === 302 ? new URL(headers.location ?? '').pathname.slice(1) : ''
    if (cutout) shown.add(cutout.replace(/\/ground-.*/, '.png'))
    return MAY_SEE[access]?.(cutout, event) === true
  }
  const { code, status, title } = JSON.parse(body)
  return (
    statusCode >= 400 &&
    statusCode < 500 &&
    status === statusCode &&
    codes.get(code)?.status === statusCode &&
    typeof title === 'string' &&
    headers['content-type'] === 'application/problem+json' &&
    headers['cache-control'] === 'no-store'
  )
}

/** Requests for what is neither source nor cutout nor record. */
function strayed() {
  return cloud.cos.requests().filter(({ id, operation, path }) => {
    const { pathname, searchParams } = new URL(`http://cos${path}`)
    const key = operation === 'GetBucket' ? `/${searchParams.get('prefix')}` : pathname
    return !ours.includes(id) && !/^\/(uploads|cutouts|\.matting)\//.test(key)
  })
}

// Most of it signed, where nearly all is refused without asking COS.
it.each([
  ['signed', 0.93, signedUrls],
  ['presets', 0.05, plainUrls],
  ['open', 0.02, plainUrls],
])('ACCESS=%s: whatever is asked, nothing fails and nobody sees more than is granted', async (access, share, urls) => {
  const handler = load({
    ACCESS: access,
    URL_KEYS: Object.entries(SECRETS)
      .map((key) => key.join(':'))
      .join(),
  })
  let runs = 0
  await fc.assert(
    fc.asyncProperty(requests(urls), async (asked) => {
      const event = toEvent(asked)
      const answer = await handler(event)
      if (!isRight(access, event, answer)) expect(answer, JSON.stringify(event)).toBe('right')
      // The local COS keeps the last 10,000 requests.
      if (++runs % 1_000 === 0) expect(strayed()).toEqual([])
    }),
    { numRuns: Math.round(RUNS * share), seed: SEED },
  )
  // What is signed is shown, too: two photos in two layouts.
  expect(shown.size).toBeGreaterThanOrEqual(4)
  expect(strayed()).toEqual([])
})

it('was billed for what was shown, once each', () => {
  expect(
    cloud.cos
      .bill()
      .map(({ fileid }) => fileid)
      .sort(),
  ).toEqual([...shown].sort())
})
