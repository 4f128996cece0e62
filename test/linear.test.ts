import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readGrant } from '../lib/access.ts'
import { safePath } from '../lib/asked.ts'
import { etagPart, isCutout, versionIn } from '../lib/cutout.ts'
import { readExternal } from '../lib/external.ts'
import { parseLayout } from '../lib/layout.ts'
import { inspect } from '../lib/pay/blank.ts'
import { readings } from '../lib/readings.ts'
import { replay } from '../lib/replay.ts'
import { isOtherType, refuseKey, refuseObject } from '../lib/source.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import { parsePolicy, wildcard } from '../local/cos/policy.ts'
import { withoutQuery } from '../local/cos/request.ts'
import { listed } from '../local/cos/verify.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { each, LENGTH, long } from './helpers/linear.ts'

// Promise 10: what strangers send is read in linear time. Every parser of theirs gets what is worst for one that is not; the
// quadratic split of If-None-Match, that there was, took half a minute for it. Answers: linear-answers.test.ts.
const LETTERS = ' \t\u00a0,"a1-._/%?#&=;+:@\\\n\0红*<{'
const VERSION = '0123456789abcdef-plain/'
const WORDS = ' ,|W/|a |-1|..|../|//|/1|%41|%2F|%2e|%25|%3F|http://|xn--|<a>|/0123456789abcdef-plain'
const TEXTS = [...LETTERS, ...WORDS.split('|')]

const GET = { httpMethod: 'GET', path: '/plain/uploads/mug.jpg' }

describe('what strangers send is read in linear time', () => {
  let cloud: TestCloud
  let asks: ((event: unknown) => Promise<unknown>)[]
  let happens: (event: unknown) => Promise<unknown>
  beforeAll(async () => {
    // Long keys are logged.
    vi.spyOn(console, 'log').mockReturnValue()
    cloud = await startTestCloud()
    await cloud.upload('uploads/mug.jpg', await photo())
    const load = async (name: string, environment: Record<string, string>) => {
      const require = createRequire(import.meta.url)
      const file = require.resolve(`../dist/${name}.js`)
      delete require.cache[file]
      const { main_handler } = require(file)
      const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl }
      const role = { TENCENTCLOUD_SECRETID: CREDENTIALS.secretId, TENCENTCLOUD_SECRETKEY: CREDENTIALS.secretKey }
      for (const [name, value] of Object.entries({ ...place, ...role, ...environment })) vi.stubEnv(name, value)
      return (event: unknown) => main_handler(event, { getRemainingTimeInMillis: () => 30_000 })
    }
    const access = { URL_KEYS: 'key:sixteen-characters-and-more', DETECT_HOSTS: 'good.example' }
    const signed = await load('image', { ...access, ACCESS: 'signed' })
    // Each reads its configuration now, and one knows the photo.
    expect(await signed(GET)).toMatchObject({ statusCode: 403 })
    const open = await load('image', { ...access, ACCESS: 'open' })
    expect(await open(GET)).toMatchObject({ statusCode: 302 })
    asks = [signed, open]
    happens = await load('upload', {})
    expect(await happens({ Records: [] })).toBe('done')
  })
  // Other files run in this process after it.
  afterAll(() => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
    return cloud.close()
  })

  it.each<[string, (text: string) => unknown]>([
    ['If-None-Match', (text) => ({ ...GET, headers: { 'if-none-match': `a${text.replace(/[^\t\x20-\xff]/g, 'b')}` } })],
    ['any other header', (text) => ({ ...GET, headers: { [text]: text } })],
    ['a method', (text) => ({ ...GET, httpMethod: text })],
    ['a path', (text) => ({ ...GET, path: `/${text}` })],
    ['a layout', (text) => ({ ...GET, path: `/center-layout=1,${text}/uploads/mug.jpg` })],
    ['a key', (text) => ({ ...GET, path: `/plain/uploads/${text}` })],
    ['a URL in a path', (text) => ({ ...GET, path: `/plain/${encodeURIComponent(`http://good.example/${text}`)}` })],
    ['a host in a path', (text) => ({ ...GET, path: `/plain/${encodeURIComponent(`http://${text}.example/`)}` })],
    ['a query', (text) => ({ ...GET, queryString: { exp: '1', kid: 'key', sig: text } })],
    [
      'a raw query',
      (text) => ({ rawPath: GET.path, rawQueryString: text, requestContext: { http: { method: 'GET' } } }),
    ],
  ])('the image function: %s', async (_, event) => {
    for (const ask of asks) await each(TEXTS.map(long), (text) => ask(event(text)))
  })

  it.each<[string, (text: string) => object]>([
    ['key', (text) => ({ key: `/1250000000/photos/uploads/${text}` })],
    ['other key', (text) => ({ key: text })],
    ['type', (text) => ({ meta: { 'Content-Type': `image/jpeg${text}` } })],
    ['unknown type', (text) => ({ meta: { 'Content-Type': `binary/octet-stream${text}` } })],
  ])('the upload function: an event’s %s', async (_, change) => {
    const event = (object: object) => ({
      cos: {
        cosBucket: { name: 'photos', appid: '1250000000' },
        cosObject: { key: '/1250000000/photos/uploads/a.jpg', ...object },
      },
      event: { eventName: 'cos:ObjectCreated:Put' },
    })
    await each(TEXTS.map(long), (text) => happens({ Records: [event(change(text))] }))
  })

  it.each<[string, (text: string) => unknown]>([
    ['eventName', (text) => happens({ Records: [{ event: { eventName: text } }] })],
    ['readExternal', (text) => readExternal(`http://good.example/${text}`, ['good.example'])],
    ['readExternal, a host', (text) => readExternal(`http://${text}`, ['good.example'])],
    [
      'readGrant',
      (text) => readGrant(text, [text], new URLSearchParams(`exp=1&kid=a&sig=${text}`), new Map([['a', 'b']])),
    ],
    ['parseLayout', (text) => [parseLayout(text, ','), parseLayout(`padding-layout=${text}`, ',')]],
    ['readings', (text) => readings(text)],
    ['isCutout', (text) => [isCutout(text), isCutout(`/0123456789abcdef-${text}`), etagPart(text)]],
    ['isCutout, of a view', (text) => [isCutout(`/0123456789abcdef-plain/${text}`), versionIn(`${VERSION}${text}`)]],
    [
      'refuseKey',
      (text) => [refuseKey(text, ['uploads/']), isOtherType(text), refuseObject(text, { size: 1, type: text })],
    ],
    ['safePath', (text) => safePath(`http://function/${encodeURIComponent(text)}`)],
    ['replay', (text) => replay([text, { event: text }, { Records: [{ event: { eventName: text } }] }])],
    ['local: withoutQuery', (text) => withoutQuery(text)],
    ['local: listed', (text) => listed(text, new Map([['a', text]]))],
    [
      'local: parsePolicy',
      (text) => parsePolicy({ version: '2.0', statement: [{ effect: 'allow', action: text, resource: text }] }),
    ],
    [
      'local: wildcard',
      (text) => [wildcard(`a${text}`)('a'.repeat(999)), wildcard(`${'*a'.repeat(4)}*b`)('a'.repeat(300))],
    ],
  ])('%s', async (_, work) => each(TEXTS.map(long), work))

  it('inspect: chunks of a PNG', async () => {
    const chunk = (type: string) => Buffer.from(`\0\0\0\0${type}crc!`, 'latin1')
    const head = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x09\0\0\0\x09\x08\x06\0\0\0crc!', 'latin1')
    for (const type of ['IDAT', 'tEXt']) {
      const png = Buffer.concat([head, ...Array<Buffer>(Math.floor(LENGTH / 12)).fill(chunk(type))])
      const pieces = Array.from({ length: 100 }, (_, i) =>
        png.subarray((i * png.length) / 100, ((i + 1) * png.length) / 100),
      )
      const stream = async function* () {
        yield* pieces
      }
      await each([type], () => inspect(stream()))
    }
    const file = async function* () {
      yield Buffer.concat([head, Buffer.from('\x02\0\0\0tEXt', 'latin1')])
      const piece = Buffer.alloc(4_096)
      for (let i = 0; i < 8_192; i++) yield piece
    }
    await each(['one long chunk'], () => inspect(file()))
  })
})
