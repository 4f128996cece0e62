import type { IncomingMessage, ServerResponse } from 'node:http'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import type { Cos } from '../lib/cos.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { against, error, OBJECT, type Respond, rules, status, time } from './helpers/fake.ts'

/** A captive portal's page, with dates as if it were an object. */
const PAGE = '<!doctype html><html><head><title>Sign in</title></head><body><p>Welcome</p><br></body></html>'
const { 'x-cos-request-id': _, ...dates } = OBJECT
const portal =
  (code: number, body: string | Buffer = PAGE): Respond =>
  (_request: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(code, { ...dates, 'content-type': 'text/html', 'content-length': body.length }).end(body)

const png = await sharp({ create: { width: 3, height: 2, channels: 4, background: '#0000' } })
  .png()
  .toBuffer()

const object = { type: 'text/plain' }
const FREE: Record<string, (cos: Cos) => Promise<unknown>> = {
  head: (cos) => cos.head('a'),
  get: (cos) => cos.get('a'),
  pieces: (cos) => cos.pieces('a'),
  put: (cos) => cos.put('a', 'x', object),
  'put, forbidding': (cos) => cos.put('a', 'x', { ...object, forbidOverwrite: true }),
  delete: (cos) => cos.delete('a'),
  list: (cos) => all(cos),
}
const PAID: Record<string, (cos: Cos) => Promise<unknown>> = {
  process: (cos) => cos[paid].process('a', rules, time()),
  upload: (cos) => cos[paid].upload('a', { body: Buffer.from('x'), type: 'image/jpeg' }, rules, time()),
  detect: (cos) => cos[paid].detect('http://pictures.example/a.jpg', plain, time()),
}

async function all(cos: Cos, prefix = 'a/') {
  const listed = []
  for await (const one of cos.list(prefix)) listed.push(one)
  return listed
}

describe('an answer that is not COS’s is believed by nobody', () => {
  const codes = [200, 204, 206, 302, 400, 403, 404, 407, 409, 416]
  it.each(Object.entries(FREE))(
    '%s: whatever its status, it is asked for again, and then "later"',
    async (name, call) => {
      const asked = codes.map(async (code) => {
        const { cos, seen } = await against(portal(code))
        await expect(call(cos), `${code}`).rejects.toMatchObject({ code: 'unavailable' })
        expect(seen).toHaveLength(name === 'put, forbidding' ? 1 : 3)
      })
      await Promise.all(asked)
    },
  )

  it.each(Object.entries(PAID))(
    '%s: whatever its status, its outcome is unknown, and nothing is sent again',
    async (_, call) => {
      for (const code of [...codes, 429, 500, 503, 511]) {
        const { cos, seen } = await against(portal(code))
        await expect(call(cos), `${code}`).rejects.toMatchObject({ code: 'unknown-outcome' })
        expect(seen).toHaveLength(1)
      }
    },
  )

  it('does not tell what time it is', async () => {
    const year = 365 * 86_400_000
    const date = new Date(Date.now() + year).toUTCString()
    const late = { ...dates, date }
    const { cos } = await against((request, response, n) =>
      n === 1 ? void response.writeHead(404, late).end() : status(404)(request, response, n),
    )
    expect(await cos.head('a')).toBeUndefined()
    expect(cos.clock()).toBeLessThan(Date.now() + year / 2)
  })

  it('that is too long was not paid for, unless it is a cutout', async () => {
    const endless = await against(status(200, Buffer.alloc(33 * 1024 * 1024)))
    await expect(PAID.detect?.(endless.cos)).rejects.toMatchObject({ code: 'unknown-outcome' })
    const large = await against(status(200, Buffer.concat([png, Buffer.alloc(33 * 1024 * 1024)])))
    expect(await PAID.detect?.(large.cos)).toBeUndefined()
  })
})

describe('an answer of COS’s that has not the form of one is "later"', () => {
  const part = (range: string) => status(206, 'abc', { 'content-range': range })
  const none = (name: string, code = 200, body = '') => status(code, body, { [name]: '' })
  it.each<[call: string, what: string, respond: Respond]>([
    ['head', 'no ETag', none('etag')],
    ['head', 'no date', none('last-modified')],
    ['head', 'a date that is none', status(200, '', { 'last-modified': 'yesterday' })],
    ['head', 'no size', (_, response) => void response.writeHead(200, OBJECT).end()],
    ['get', 'no date', none('last-modified')],
    [
      'get',
      'no Date',
      (_, response) => void Object.assign(response, { sendDate: false }).writeHead(200, OBJECT).end('{}'),
    ],
    ['get', '404 of something else', status(404, error('NoSuchUpload'))],
    ['pieces', 'no date', none('last-modified', 206, 'abc')],
    ['pieces', 'no range', status(206, 'abc')],
    ['pieces', 'another range', part('bytes 1-3/9')],
    ['pieces', 'a longer range', part('bytes 0-3/9')],
    ['pieces', 'a size that is too small', part('bytes 0-2/2')],
    ['pieces', 'a size that is no number', part('bytes 0-2/*')],
    ['put', 'no ETag', none('etag')],
    ['put', 'nothing stored', status(204)],
    ['put, forbidding', 'no ETag', none('etag')],
    ['delete', '200', status(200)],
    ['list', 'a page', status(200, PAGE)],
    ['list', 'nothing', status(200)],
  ])('%s: %s', async (call, _, respond) => {
    const { cos } = await against(respond)
    const code = expect.stringMatching(/^(unavailable|denied)$/)
    await expect(FREE[call]?.(cos)).rejects.toMatchObject({ code, retryable: true })
  })

  it('while all of an object instead of a part, and an empty one, are taken as they are', async () => {
    const whole = await (await against(status(200, 'abc'))).cos.pieces('a')
    expect(whole).toMatchObject({ size: 3, modified: Date.parse(OBJECT['last-modified']) })
    expect(await (await against(status(416, error('InvalidRange')))).cos.pieces('a')).toMatchObject({ size: 0 })
  })

  it('does not make an unlisted bucket of a missing one', async () => {
    const { cos } = await against(status(404, error('NoSuchBucket')))
    await expect(cos.delete('a')).rejects.toMatchObject({ code: 'misconfigured' })
  })
})

describe('a LIST that is none opens no limit', () => {
  const entry = (key: string, size = '1', date = '2026-01-09T22:33:18.000Z') =>
    `<Contents><Key>${key}</Key><LastModified>${date}</LastModified><ETag>&quot;0123&quot;</ETag><Size>${size}</Size></Contents>`
  const page = (inner: string, more = 'false', encoding = 'url') =>
    `<ListBucketResult><EncodingType>${encoding}</EncodingType><IsTruncated>${more}</IsTruncated>${inner}</ListBucketResult>`

  it('while one that is whole is taken, an empty one too', async () => {
    expect(await all((await against(status(200, page('')))).cos)).toEqual([])
    const { cos } = await against(status(200, page(entry('a/%E6%9D%AF%20') + entry('a/1', '0'))))
    const written = Date.parse('2026-01-09T22:33:18Z')
    expect(await all(cos)).toEqual([
      { key: 'a/杯 ', size: 1, etag: '0123', written },
      { key: 'a/1', size: 0, etag: '0123', written },
    ])
  })

  it.each([
    ['an error', error('InternalError')],
    ['JSON', '{"code":0,"objects":[]}'],
    ['an empty list', '<ListBucketResult/>'],
    ['another document', `<ListAllMyBucketsResult>${page('')}</ListAllMyBucketsResult>`],
    ['half of one', page(entry('a/1')).slice(0, 200)],
    ['neither the end nor more', '<ListBucketResult><EncodingType>url</EncodingType></ListBucketResult>'],
    ['an end that is neither', page('', 'maybe')],
    ['keys that are not encoded', page(entry('a/1'), 'false', '')],
    ['a key that cannot be decoded', page(entry('a/%E6%9D'))],
    ['no key', page('<Contents><Size>1</Size></Contents>')],
    ['a key of another list', page(entry('b/1'))],
    ['a size that is no number', page(entry('a/1', 'x'))],
    ['a size below nothing', page(entry('a/1', '-1'))],
    ['a date that is none', page(entry('a/1', '1', 'soon'))],
    ['more, and nothing in it', page('', 'true')],
    ['the same page again and again', page(entry('a/1'), 'true')],
  ])('%s', async (_, body) => {
    const { cos, seen } = await against(status(200, body))
    await expect(all(cos)).rejects.toMatchObject({ code: 'unavailable' })
    expect(seen.length).toBeLessThanOrEqual(2)
  })
})

describe('a result that is none', () => {
  const result = (inner: string) => `<UploadResult>${inner}</UploadResult>`
  it.each(['process', 'upload'])('of %s has an unknown outcome', async (call) => {
    for (const body of [
      '',
      PAGE,
      '{}',
      '<UploadResult/>',
      result('<Other/>'),
      '<OriginalInfo/>',
      result('<OriginalInfo/><Error><Code>X</Code></Error>'),
    ]) {
      const { cos } = await against(status(200, body))
      await expect(PAID[call]?.(cos), body).rejects.toMatchObject({ code: 'unknown-outcome' })
    }
  })

  it('of detect has an unknown outcome, half a picture too', async () => {
    const { cos } = await against(status(200, png))
    expect(await PAID.detect?.(cos)).toEqual(png)
    for (const body of [
      '',
      PAGE,
      png.subarray(1),
      png.subarray(0, -12),
      Buffer.from('\x89PNG, he said, IEND', 'latin1'),
    ]) {
      const { cos } = await against(status(200, body))
      await expect(PAID.detect?.(cos), String(body)).rejects.toMatchObject({ code: 'unknown-outcome' })
    }
  })

  it.each([
    ['<OriginalInfo><ETag>"ed60e3598e6862d8"</ETag></OriginalInfo>', 'ed60e3598e6862d8'],
    ['<OriginalInfo><ETag>&quot;ed60e3598e6862d8&quot;</ETag></OriginalInfo><ProcessResults/>', 'ed60e3598e6862d8'],
    ['<OriginalInfo><Etag>ed60e3598e6862d8</Etag></OriginalInfo>', 'ed60e3598e6862d8'],
    ['<OriginalInfo><Key/><Location/></OriginalInfo>', undefined],
    ['<OriginalInfo/>', undefined],
  ])('while %s tells of which photo it is', async (inner, etag) => {
    const { cos } = await against(status(200, result(inner)))
    expect(await cos[paid].process('a', rules, time())).toBe(etag)
  })
})
