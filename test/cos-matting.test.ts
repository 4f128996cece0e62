import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { XMLParser } from 'fast-xml-parser'
import sharp from 'sharp'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { FaultKind } from '../local/faults.ts'
import {
  authorization,
  BUCKET,
  cut,
  element,
  type Lab,
  photo,
  REGION,
  type Reply,
  sendRaw,
  startLab,
  talk,
} from './helpers/cos.ts'

const RULE = 'ci-process=GoodsMatting'
const CUTOUTS = 'cutouts-1250000000'
const HOST = `${BUCKET}.cos.${REGION}.myqcloud.com`

const rule = (fileid: unknown, text: unknown = RULE, rest: object = {}) => ({ fileid, rule: text, ...rest })
const operations = (...rules: object[]) => ({ 'Pic-Operations': JSON.stringify({ is_pic_info: 0, rules }) })

/** Method two and method three, with the same header: what holds for one holds for the other. */
const METHODS: [string, (lab: Lab, key: string, headers: Record<string, string>, body?: Buffer) => Promise<Reply>][] = [
  ['PUT', async (lab, key, headers, body) => lab.put(key, body ?? (await photo()), headers)],
  [
    'POST ?image_process',
    async (lab, key, headers, body) => {
      await lab.put(key, body ?? (await photo()))
      return lab.send('POST', key, { query: { image_process: '' }, headers })
    },
  ],
]

const post = (lab: Lab, key: string, headers: Record<string, string>) =>
  lab.send('POST', key, { query: { image_process: '' }, headers })

describe('method one: at download', () => {
  test.each<[Record<string, string>, number, string]>([
    [{}, 40, 'ci-process=GoodsMatting'],
    [{ 'center-layout': '0', 'padding-layout': '0x0' }, 40, 'ci-process=GoodsMatting'],
    [{ 'center-layout': '1' }, 40, 'ci-process=GoodsMatting&center-layout=1'],
    [{ 'padding-layout': '20x10' }, 80, 'ci-process=GoodsMatting&padding-layout=20x10'],
    [
      { 'center-layout': '1', 'padding-layout': '1000x0' },
      2040,
      'ci-process=GoodsMatting&center-layout=1&padding-layout=1000x0',
    ],
  ])('%o', async (query, width, text) => {
    const lab = await startLab()
    await lab.put('uploads/shoe 01(红).jpg', await photo())
    const reply = await lab.send('GET', 'uploads/shoe 01(红).jpg', {
      query: { 'ci-process': 'GoodsMatting', ...query },
    })
    expect(reply.status).toBe(200)
    expect(reply.headers).toMatchObject({
      'content-type': 'image/png',
      'content-length': `${reply.bytes.length}`,
      server: 'tencent-ci',
      status: '200 OK',
      'x-cos-request-id': expect.any(String),
    })
    expect(await sharp(reply.bytes).metadata()).toMatchObject({ format: 'png', width })
    const etag = String((await lab.send('HEAD', 'uploads/shoe 01(红).jpg')).headers.etag)
    expect(lab.bill()).toEqual([
      {
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        method: 'download',
        source: 'uploads/shoe 01(红).jpg',
        etag: etag.replaceAll('"', ''),
        rule: text,
        fileid: '',
        outcome: 'returned',
        blank: false,
      },
    ])
  })

  test.each<[string, Record<string, string>, number, string]>([
    ['a.jpg', { 'center-layout': '2' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'center-layout': '' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'center-layout': 'true' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '1001x0' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '0x1001' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '20' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '20X10' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '-1x0' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '1.5x0' }, 400, 'InvalidArgument'],
    ['a.jpg', { 'padding-layout': '' }, 400, 'InvalidArgument'],
    ['none.jpg', {}, 404, 'NoSuchKey'],
    ['text.jpg', {}, 400, 'InvalidImageFormat'],
    ['big.jpg', {}, 400, 'ImageTooLarge'],
    ['', {}, 400, 'InvalidArgument'],
    ['a.jpg', { 'ci-process': 'AIPicMatting' }, 501, 'NotImplemented'],
  ])('%s with %o costs nothing', async (key, query, status, code) => {
    const lab = await startLab()
    await lab.put('a.jpg', await photo())
    await lab.put('text.jpg', 'no picture')
    if (key === 'big.jpg') await lab.put(key, Buffer.alloc(32 * 1024 ** 2 + 1))
    const reply = await lab.send('GET', key, { query: { 'ci-process': 'GoodsMatting', ...query } })
    expect([reply.status, element(reply, 'Code')]).toEqual([status, code])
    expect(lab.bill()).toEqual([])
  })

  test('a photo without a product is a success all the same: blank, and paid for', async () => {
    const lab = await startLab()
    await lab.put(
      'a.jpg',
      await sharp({ create: { width: 9, height: 9, channels: 3, background: 'white' } })
        .png()
        .toBuffer(),
    )
    const reply = await lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } })
    expect(reply.status).toBe(200)
    expect((await sharp(reply.bytes).stats()).channels[3]?.max).toBe(0)
    expect(lab.bill()).toMatchObject([{ blank: true }])
  })

  test('a failing engine is a 500 that costs nothing, and its codes are passed on', async () => {
    for (const [code, status] of [
      ['ImageResolutionExceed', 400],
      ['ImageTooLarge', 400],
    ] as const) {
      const lab = await startLab({ cut: () => Promise.reject(Object.assign(new Error('secret path'), { code })) })
      await lab.put('a.jpg', await photo())
      const reply = await lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } })
      expect([reply.status, element(reply, 'Code'), reply.text.includes('secret')]).toEqual([status, code, false])
      expect(lab.bill()).toEqual([])
    }
  })
})

describe('detect-url', () => {
  async function serve(answer: { status?: number; body?: Buffer; type?: string } = {}): Promise<string> {
    const body = answer.body ?? (await photo())
    const server = createServer((request, response) => {
      const found = request.url === '/a%20b.jpg?x=1&y=%2520'
      response.writeHead(found ? (answer.status ?? 200) : 404, { Location: '/a%20b.jpg?x=1&y=%2520' }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/a%20b.jpg?x=1&y=%2520`
  }
  const detect = (lab: Lab, url: string, key = '') =>
    lab.send('GET', key, { query: { 'ci-process': 'GoodsMatting', 'detect-url': url } })

  test('encoded once, as SDKs send it, and three times over, as the page has it', async () => {
    const lab = await startLab()
    const url = await serve()
    // `send` encodes once more.
    for (const text of [url, encodeURIComponent(url), encodeURIComponent(encodeURIComponent(url))]) {
      const reply = await detect(lab, text)
      expect([reply.status, reply.headers['content-type']]).toEqual([200, 'image/png'])
    }
    const [once] = lab.bill()
    expect(once).toMatchObject({
      method: 'download',
      source: url.replace(/\?.*/, ''),
      etag: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(new Set(lab.bill().map(({ source, etag }) => source + etag)).size).toBe(1)
  })

  test('it is processed rather than an object key', async () => {
    const lab = await startLab()
    expect((await detect(lab, await serve(), 'not/there.jpg')).status).toBe(200)
  })

  test('a presigned URL of this very COS, by its address and by the vendor’s host name', async () => {
    const lab = await startLab()
    await lab.put('uploads/a b.jpg', await photo())
    for (const host of [`127.0.0.1:${lab.port}`, HOST]) {
      const auth = authorization({ method: 'GET', path: '/uploads/a b.jpg', headers: { host } })
      expect((await detect(lab, `http://${host}/uploads/a%20b.jpg?${auth}`)).status).toBe(200)
    }
    expect(lab.bill().map(({ source }) => source)).toEqual([
      `http://127.0.0.1:${lab.port}/uploads/a%20b.jpg`,
      `http://${HOST}/uploads/a%20b.jpg`,
    ])
    expect((await detect(lab, `http://${HOST}/uploads/a%20b.jpg`)).status).toBe(400)
  })

  test('hosts lead to ports of this machine, told the name they were asked by', async () => {
    const body = await photo()
    const seen: (string | undefined)[][] = []
    const server = createServer((request, response) => {
      seen.push([request.headers.host, request.url])
      response.end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.close()
    })
    const lab = await startLab({ hosts: new Map([['cutouts.example.com', (server.address() as AddressInfo).port]]) })
    for (const scheme of ['http', 'https'])
      expect((await detect(lab, `${scheme}://CUTOUTS.example.com/a%20b?c=d`)).status).toBe(200)
    expect(seen).toEqual(Array(2).fill(['cutouts.example.com', '/a%20b?c=d']))
  })

  test.each<[string, () => Promise<string>, string]>([
    ['no URL', async () => 'picture', 'InvalidImageSource'],
    ['another scheme', async () => 'file:///etc/passwd', 'InvalidImageSource'],
    ['a URL with credentials', async () => (await serve()).replace('//', '//a:b@'), 'InvalidImageSource'],
    ['nobody there', async () => 'http://127.0.0.1:1/', 'InvalidImageSource'],
    ['not found', () => serve({ status: 404 }), 'InvalidImageSource'],
    ['a redirect', () => serve({ status: 302 }), 'InvalidImageSource'],
    ['no picture', () => serve({ body: Buffer.from('text') }), 'InvalidImageFormat'],
    ['too much of it', () => serve({ body: Buffer.alloc(33 * 1024 ** 2) }), 'ImageTooLarge'],
  ])('%s costs nothing', async (_, url, code) => {
    const lab = await startLab()
    const reply = await detect(lab, await url())
    expect([reply.status, element(reply, 'Code')]).toEqual([400, code])
    expect(lab.bill()).toEqual([])
  })
})

describe.each(METHODS)('Pic-Operations by %s', (name, run) => {
  const method = name === 'PUT' ? 'upload' : 'cloud'

  test('the page’s document, headers, objects, bill and events', async () => {
    const lab = await startLab()
    const key = 'p1/test 1&.jpg'
    const reply = await run(
      lab,
      key,
      operations(rule('/p2/<a>.png'), rule('p2/b.png', `${RULE}&center-layout=1&padding-layout=20x10`)),
    )
    expect(reply.headers).toMatchObject({ 'content-type': 'application/xml', server: 'tencent-ci', status: '200 OK' })
    const source = String((await lab.send('HEAD', key)).headers.etag)
    const [first, second] = [await lab.send('GET', 'p2/<a>.png'), await lab.send('GET', 'p1/p2/b.png')]
    const parser = new XMLParser({ parseTagValue: false, htmlEntities: true })
    expect(reply.text.startsWith('<UploadResult>')).toBe(true)
    expect(reply.text).toContain('<Format/>')
    expect(reply.text).toContain(`<ETag>&quot;${source.replaceAll('"', '')}&quot;</ETag>`)
    expect(parser.parse(reply.text)).toEqual({
      UploadResult: {
        OriginalInfo: { Key: key, Location: `${HOST}/p1/test%201%26.jpg`, ETag: source },
        ProcessResults: {
          Object: [
            {
              Key: 'p2/<a>.png',
              Location: `${HOST}/p2/%3Ca%3E.png`,
              Format: '',
              Size: `${first.bytes.length}`,
              ETag: first.headers.etag,
            },
            {
              Key: 'p1/p2/b.png',
              Location: `${HOST}/p1/p2/b.png`,
              Format: '',
              Size: `${second.bytes.length}`,
              ETag: second.headers.etag,
            },
          ],
        },
      },
    })
    for (const cutout of [first, second]) {
      expect(cutout.headers.etag).toMatch(/^"[0-9a-f]{40}"$/)
      expect(cutout.headers['content-type']).toBe('image/png')
    }
    expect(await sharp(second.bytes).metadata()).toMatchObject({ width: 80, height: 50 })
    const paid = { method, source: key, etag: source.replaceAll('"', ''), outcome: 'stored', blank: false }
    expect(lab.bill()).toMatchObject([
      { ...paid, fileid: 'p2/<a>.png', rule: RULE },
      { ...paid, fileid: 'p1/p2/b.png', rule: `${RULE}&center-layout=1&padding-layout=20x10` },
    ])
    expect(lab.events.map(({ kind, via, key: told }) => [kind, via, told])).toEqual([
      ['created', 'Put', key],
      ['created', 'Put', 'p2/<a>.png'],
      ['created', 'Put', 'p1/p2/b.png'],
    ])
  })

  test('one rule is one element, not a list; no rules are no processing and cost nothing', async () => {
    const lab = await startLab()
    expect((await run(lab, 'a.jpg', operations(rule('/b.png')))).text.match(/<Object>/g)).toHaveLength(1)
    for (const header of ['{}', '{"rules":[]}', '{"is_pic_info":1}', '{"is_pic_info":1,"rules":null}']) {
      const reply = await run(lab, 'a.jpg', { 'Pic-Operations': header })
      expect([reply.status, reply.text.includes('<Object>')]).toEqual([200, false])
      expect(reply.text.includes('<ImageInfo>')).toBe(header.includes('1'))
    }
    expect(lab.bill()).toHaveLength(1)
  })

  test('is_pic_info: 1 tells of the original', async () => {
    const lab = await startLab()
    const turned = await sharp(await photo(40, 30))
      .withMetadata({ orientation: 6 })
      .toBuffer()
    const header = JSON.stringify({ is_pic_info: 1, rules: [rule('/b.png')] })
    const reply = await run(lab, 'a.jpg', { 'Pic-Operations': header }, turned)
    const info = ['Format', 'Width', 'Height', 'Orientation'].map((node) => element(reply, node))
    expect(info).toEqual(['JPEG', '40', '30', '6'])
  })

  test('five rules at most', async () => {
    const lab = await startLab()
    const many = (n: number) => operations(...Array.from({ length: n }, (_, i) => rule(`/b${i}.png`)))
    expect((await run(lab, 'a.jpg', many(5))).status).toBe(200)
    const six = await run(lab, 'a.jpg', many(6))
    expect([six.status, element(six, 'Code')]).toEqual([400, 'InvalidPicOperations'])
    expect(lab.bill()).toHaveLength(5)
  })

  test('a fileid that is the key, relative or absolute, replaces the original', async () => {
    for (const fileid of ['p1/a.jpg', '/p1/a.jpg']) {
      const lab = await startLab()
      const reply = await run(lab, 'p1/a.jpg', operations(rule(fileid)))
      const now = await lab.send('HEAD', 'p1/a.jpg')
      expect(now.headers['content-type']).toBe('image/png')
      const etags = [...reply.text.matchAll(/<ETag>&quot;(.*)&quot;</g)].map((match) => `"${match[1]}"`)
      expect(etags).toEqual([now.headers.etag, now.headers.etag])
      expect((await lab.send('HEAD', 'p1/p1/a.jpg')).status).toBe(404)
    }
  })

  test('into another bucket of the account', async () => {
    const lab = await startLab()
    const host = `${CUTOUTS}.cos.${REGION}.myqcloud.com`
    await lab.send('PUT', '', { host })
    const reply = await run(lab, 'a.jpg', operations(rule('/b.png', RULE, { bucket: CUTOUTS })))
    expect(reply.text).toContain(`<Location>${host}/b.png</Location>`)
    expect((await lab.send('HEAD', 'b.png', { host })).status).toBe(200)
    expect((await lab.send('HEAD', 'b.png')).status).toBe(404)
    expect(lab.events.at(-1)).toMatchObject({ bucket: CUTOUTS, key: 'b.png' })
  })

  test.each<[string, string | object, number, string]>([
    ['no JSON', '{', 400, 'InvalidPicOperations'],
    ['an array', '[]', 400, 'InvalidPicOperations'],
    ['null', 'null', 400, 'InvalidPicOperations'],
    ['is_pic_info of 2', '{"is_pic_info":2}', 400, 'InvalidPicOperations'],
    ['is_pic_info of "2"', '{"is_pic_info":"2"}', 400, 'InvalidPicOperations'],
    ['rules that are no array', '{"rules":{}}', 400, 'InvalidPicOperations'],
    ['a rule that is no object', '{"rules":["x"]}', 400, 'InvalidPicOperations'],
    ['no fileid', { rule: RULE }, 400, 'InvalidPicOperations'],
    ['an empty fileid', rule(''), 400, 'InvalidPicOperations'],
    ['a fileid that is no text', rule(1), 400, 'InvalidPicOperations'],
    ['a fileid that ends in a slash', rule('/b/'), 400, 'InvalidPicOperations'],
    ['a fileid that is the bucket', rule('/.'), 400, 'InvalidPicOperations'],
    ['a fileid that is too long', rule(`/${'x'.repeat(851)}`), 400, 'KeyTooLong'],
    [
      'a fileid with half a character',
      '{"rules":[{"fileid":"/\\ud83e.png","rule":"ci-process=GoodsMatting"}]}',
      400,
      'InvalidPicOperations',
    ],
    ['no rule', { fileid: '/b.png' }, 400, 'InvalidPicOperations'],
    ['an empty rule', rule('/b.png', ''), 501, 'NotImplemented'],
    ['another process', rule('/b.png', 'ci-process=AIPicMatting'), 501, 'NotImplemented'],
    ['a basic process of another interface', rule('/b.png', 'imageView2/1/w/200'), 501, 'NotImplemented'],
    [
      'a matting followed by a basic process',
      rule('/b.png', `${RULE}|imageMogr2/thumbnail/200x`),
      501,
      'NotImplemented',
    ],
    ['a basic process followed by a matting', rule('/b.png', `imageMogr2/strip|${RULE}`), 501, 'NotImplemented'],
    ['a basic process out of range', rule('/b.png', 'imageMogr2/sharpen/9'), 400, 'InvalidArgument'],
    ['a parameter not known', rule('/b.png', `${RULE}&shape=1`), 501, 'NotImplemented'],
    ['a parameter repeated', rule('/b.png', `${RULE}&center-layout=0&center-layout=1`), 400, 'InvalidPicOperations'],
    ['a member not known', rule('/b.png', RULE, { 'ignore-errors': 1 }), 501, 'NotImplemented'],
    ['center-layout of 2', rule('/b.png', `${RULE}&center-layout=2`), 400, 'InvalidArgument'],
    ['padding-layout out of range', rule('/b.png', `${RULE}&padding-layout=1001x1`), 400, 'InvalidArgument'],
    ['padding-layout of no form', rule('/b.png', `${RULE}&padding-layout=10`), 400, 'InvalidArgument'],
    ['a bucket of another account', rule('/b.png', RULE, { bucket: 'photos-1999999999' }), 403, 'AccessDenied'],
    ['a bucket that is not there', rule('/b.png', RULE, { bucket: 'none-1250000000' }), 404, 'NoSuchBucket'],
    ['a bucket that is no text', rule('/b.png', RULE, { bucket: 1 }), 400, 'InvalidPicOperations'],
  ])('%s is refused before anything is done', async (_, bad, status, code) => {
    const lab = await startLab()
    const header = typeof bad === 'string' ? bad : JSON.stringify({ rules: [rule('/good.png'), bad] })
    const reply = await run(lab, 'a.jpg', { 'Pic-Operations': header })
    expect([reply.status, element(reply, 'Code')]).toEqual([status, code])
    expect([lab.bill(), (await lab.send('HEAD', 'good.png')).status]).toEqual([[], 404])
    expect((await lab.send('HEAD', 'a.jpg')).status).toBe(name === 'PUT' ? 404 : 200)
  })

  test('what is no picture, or too big a one, costs nothing; upon upload it is stored all the same', async () => {
    const lab = await startLab()
    const text = await run(lab, 'a.jpg', operations(rule('/b.png')), Buffer.from('no picture'))
    expect([text.status, element(text, 'Code')]).toEqual([400, 'InvalidImageFormat'])
    const big = await run(lab, 'b.jpg', operations(rule('/b.png')), Buffer.alloc(32 * 1024 ** 2 + 1))
    expect([big.status, element(big, 'Code')]).toEqual([400, 'ImageTooLarge'])
    expect(lab.bill()).toEqual([])
    expect([(await lab.send('HEAD', 'a.jpg')).status, (await lab.send('HEAD', 'b.png')).status]).toEqual([200, 404])
  })

  test('a fileid written with JSON’s escapes, or in UTF-8, is the same key', async () => {
    const lab = await startLab()
    const utf8 = Buffer.from(JSON.stringify({ rules: [rule('/红.png')] })).toString('latin1')
    const escaped = JSON.stringify({ rules: [rule('/红.png')] }).replace('红', '\\u7ea2')
    const host = `127.0.0.1:${lab.port}`
    await lab.put('a.jpg', await photo())
    for (const header of [utf8, escaped]) {
      const query = { image_process: '' }
      const Authorization = authorization({ method: 'POST', path: '/a.jpg', query, headers: { host } })
      const reply = await sendRaw(lab.port, 'POST', '/a.jpg?image_process', {
        headers: { Authorization, 'Pic-Operations': header },
      })
      expect(element(reply, 'Key')).toBe('a.jpg')
      expect((await lab.send('DELETE', '红.png')).status).toBe(204)
    }
    expect(lab.events.filter(({ kind }) => kind === 'removed')).toHaveLength(2)
  })

  test.each<[FaultKind, number, string | undefined, string[]]>([
    ['error', 500, 'InternalError', []],
    ['slow-down', 503, 'SlowDown', []],
    ['error-in-200', 200, 'InternalError', []],
    ['drop-result', 200, undefined, ['stored', 'dropped']],
  ])('the fault %s on GoodsMatting', async (kind, status, code, outcomes) => {
    const lab = await startLab()
    lab.faults.set([{ on: 'GoodsMatting', kind, times: 1 }])
    const reply = await run(lab, 'a.jpg', operations(rule('/b.png'), rule('/c.png')))
    expect([reply.status, element(reply, 'Code')]).toEqual([status, code])
    expect(lab.bill().map(({ outcome }) => outcome)).toEqual(outcomes)
    expect((await lab.send('HEAD', 'c.png')).status).toBe(404)
    if (kind === 'drop-result') {
      expect(reply.text.match(/<Object>/g)).toHaveLength(1)
      expect((await lab.send('HEAD', 'b.png')).status).toBe(200)
    }
    if (kind === 'error-in-200') expect(reply.text).toContain('<Error>')
    expect((await run(lab, 'a.jpg', operations(rule('/c.png')))).status).toBe(200)
  })

  test('a lost answer: everything is done and paid, and only the answer is missing', async () => {
    const lab = await startLab()
    lab.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await expect(run(lab, 'a.jpg', operations(rule('/b.png')))).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(lab.bill()).toMatchObject([{ method, outcome: 'lost', fileid: 'b.png' }])
    expect((await lab.send('HEAD', 'b.png')).status).toBe(200)
  })

  test('the bill is written, and the events told, before the answer', async () => {
    const seen: number[] = []
    let lab: Lab | undefined
    lab = await startLab({
      onEvent: ({ key }) => {
        if (key === 'b.png') seen.push(lab?.bill().length ?? -1)
      },
    })
    await run(lab, 'a.jpg', operations(rule('/b.png')))
    expect(seen).toEqual([1])
  })
})

test('faults on method one, and on everything at once', async () => {
  const lab = await startLab()
  await lab.put('a.jpg', await photo())
  const get = () => lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } })
  lab.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
  await expect(get()).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(lab.bill()).toMatchObject([{ method: 'download', outcome: 'lost' }])
  lab.faults.set([{ on: 'GoodsMatting', kind: 'error-in-200', times: 1 }])
  const odd = await get()
  expect([odd.status, element(odd, 'Code')]).toEqual([200, 'InternalError'])
  // A call that goes by two names is struck once.
  lab.faults.set([{ on: '*', kind: 'error', times: 2 }])
  const paid = () => post(lab, 'a.jpg', operations(rule('/b.png')))
  expect([(await paid()).status, (await paid()).status, (await paid()).status]).toEqual([500, 500, 200])
})

describe('method three: in the cloud', () => {
  test('a missing object, header or length is refused', async () => {
    const lab = await startLab()
    const none = await post(lab, 'none.jpg', operations(rule('/b.png')))
    expect([none.status, element(none, 'Code')]).toEqual([404, 'NoSuchKey'])
    await lab.put('a.jpg', await photo())
    const bare = await post(lab, 'a.jpg', {})
    expect([bare.status, element(bare, 'Code')]).toEqual([400, 'InvalidPicOperations'])
    const query = { image_process: '' }
    const Authorization = authorization({ method: 'POST', path: '/a.jpg', query })
    const header = operations(rule('/b.png'))['Pic-Operations']
    const lines = ['POST /a.jpg?image_process HTTP/1.1', 'Host: localhost', `Authorization: ${Authorization}`]
    const endless = await talk(lab, [...lines, `Pic-Operations: ${header}`, 'Connection: close', '', ''].join('\r\n'))
    expect(endless).toMatch(/^HTTP\/1.1 411 [\s\S]*<Code>MissingContentLength</)
    expect(lab.bill()).toEqual([])
  })

  test('a source changed while it is cut leaves the bill true: what was paid for is what was read', async () => {
    const steps = new EventEmitter()
    const [read, changed] = [once(steps, 'read'), once(steps, 'changed')]
    const lab = await startLab({
      async cut(...asked) {
        steps.emit('read')
        await changed
        return cut(...asked)
      },
    })
    const old = await lab.put('a.jpg', await photo(40, 30))
    const reply = post(lab, 'a.jpg', operations(rule('/b.png')))
    await read
    await lab.put('a.jpg', await photo(60, 30))
    steps.emit('changed')
    expect((await reply).status).toBe(200)
    expect(lab.bill()).toMatchObject([{ etag: String(old.headers.etag).replaceAll('"', '') }])
    expect(await sharp((await lab.send('GET', 'b.png')).bytes).metadata()).toMatchObject({ width: 40 })
  })
})

describe('activation', () => {
  const PIC = `${BUCKET}.pic.${REGION}.myqcloud.com`
  const CI = `${BUCKET}.ci.${REGION}.myqcloud.com`

  test.each<[string, (lab: Lab) => Promise<Reply>, (lab: Lab) => Promise<Reply>]>([
    [
      'Cloud Infinite is unbound',
      (lab) => lab.send('PUT', '', { host: PIC, query: { unbind: '' } }),
      (lab) => lab.send('PUT', '', { host: PIC }),
    ],
    [
      'AI content recognition is closed',
      (lab) => lab.send('DELETE', 'ai_bucket', { host: CI }),
      (lab) => lab.send('POST', 'ai_bucket', { host: CI }),
    ],
  ])('no GoodsMatting by any method while %s', async (_, off, on) => {
    const lab = await startLab()
    await lab.put('a.jpg', await photo())
    expect((await off(lab)).status).toBe(200)
    const calls = () => [
      lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } }),
      post(lab, 'a.jpg', operations(rule('/b.png'))),
      lab.put('c.jpg', 'photo', operations(rule('/b.png'))),
    ]
    for (const reply of await Promise.all(calls()))
      expect([reply.status, element(reply, 'Code')]).toEqual([403, 'NoProcessAuthority'])
    expect([lab.bill(), (await lab.send('HEAD', 'c.jpg')).status]).toEqual([[], 404])
    expect((await lab.send('GET', 'a.jpg')).status).toBe(200)
    expect((await on(lab)).status).toBe(200)
    expect((await lab.send('GET', 'a.jpg', { query: { 'ci-process': 'GoodsMatting' } })).status).toBe(200)
  })

  test('the state is told', async () => {
    const lab = await startLab()
    const status = async () => element(await lab.send('GET', '', { host: PIC }), 'CIStatus')
    expect(await status()).toBe('on')
    await lab.send('PUT', '', { host: PIC, query: { unbind: '' } })
    expect(await status()).toBe('off')
    const opened = await lab.send('POST', 'ai_bucket', { host: CI })
    expect([element(opened, 'Name'), element(opened, 'Region'), opened.headers.server]).toEqual([
      BUCKET,
      REGION,
      'tencent-ci',
    ])
    const list = (query: Record<string, string>) =>
      lab.send('GET', 'ai_bucket', { host: `ci.${REGION}.myqcloud.com`, query })
    expect([
      element(await list({}), 'TotalCount'),
      element(await list({ bucketNames: 'other-1250000000' }), 'TotalCount'),
    ]).toEqual(['1', '0'])
    const wrong = await lab.send('GET', 'a.jpg', { host: CI, query: { 'ci-process': 'GoodsMatting' } })
    expect([wrong.status, element(wrong, 'Code')]).toEqual([404, 'InvalidUrl'])
  })

  test('method one works on the pic host, too', async () => {
    const lab = await startLab()
    await lab.put('a.jpg', await photo())
    const reply = await lab.send('GET', 'a.jpg', { host: PIC, query: { 'ci-process': 'GoodsMatting' } })
    expect(reply.headers['content-type']).toBe('image/png')
  })
})
