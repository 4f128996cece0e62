import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { encodeKey } from '../local/cos/answer.ts'
import { Crc64 } from '../local/cos/crc64.ts'
import { character } from './helpers/characters.ts'
import {
  authorization,
  BUCKET,
  element,
  type Lab,
  photo,
  REGION,
  type Reply,
  sendRaw,
  startLab,
  talk,
} from './helpers/cos.ts'

const HOST = `${BUCKET}.cos.${REGION}.myqcloud.com`
const MIB = 1024 ** 2

/** Everything between two tags of this name. */
function elements({ text }: Reply, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '')
}

describe('reading', () => {
  const MODIFIED = Date.UTC(2026, 0, 2, 3, 4, 5)
  const [before, same, after] = [-1000, 0, 1000].map((ms) => new Date(MODIFIED + ms).toUTCString())
  const TAG = '"5d41402abc4b2a76b9719d911017c592"'

  test.each<[Record<string, string>, number, string]>([
    [{}, 200, 'hello'],
    [{ Range: 'bytes=0-0' }, 206, 'h'],
    [{ Range: 'bytes=1-3' }, 206, 'ell'],
    [{ Range: 'bytes=3-' }, 206, 'lo'],
    [{ Range: 'bytes=3-99' }, 206, 'lo'],
    [{ Range: 'bytes=-2' }, 206, 'lo'],
    [{ Range: 'bytes=-99' }, 206, 'hello'],
    [{ Range: 'bytes=5-' }, 416, 'InvalidRange'],
    [{ Range: 'bytes=-0' }, 416, 'InvalidRange'],
    [{ Range: 'bytes=3-1' }, 200, 'hello'],
    [{ Range: 'bytes=0-1,3-4' }, 200, 'hello'],
    [{ Range: 'lines=1-2' }, 200, 'hello'],
    [{ 'If-Match': TAG }, 200, 'hello'],
    [{ 'If-Match': `"other", ${TAG}` }, 200, 'hello'],
    [{ 'If-Match': '*' }, 200, 'hello'],
    [{ 'If-Match': '"other"' }, 412, 'PreconditionFailed'],
    [{ 'If-None-Match': TAG }, 304, ''],
    [{ 'If-None-Match': `W/${TAG}` }, 304, ''],
    [{ 'If-None-Match': '"other"' }, 200, 'hello'],
    [{ 'If-Modified-Since': before ?? '' }, 200, 'hello'],
    [{ 'If-Modified-Since': same ?? '' }, 304, ''],
    [{ 'If-Unmodified-Since': before ?? '' }, 412, 'PreconditionFailed'],
    [{ 'If-Unmodified-Since': same ?? '' }, 200, 'hello'],
    [{ 'If-Modified-Since': 'yesterday' }, 200, 'hello'],
    [{ 'If-None-Match': '"other"', 'If-Modified-Since': after ?? '' }, 200, 'hello'],
    [{ 'If-Match': TAG, 'If-Unmodified-Since': before ?? '' }, 200, 'hello'],
  ])('GET %o', async (headers, status, body) => {
    const now = MODIFIED + 789
    const lab = await startLab({ now: () => now })
    const keyTime = `${Math.floor(now / 1000)};${Math.floor(now / 1000) + 60}`
    const signed = (method: string) => {
      const Host = `127.0.0.1:${lab.port}`
      return { Authorization: authorization({ method, path: '/a', headers: { Host }, keyTime }) }
    }
    await sendRaw(lab.port, 'PUT', '/a', { headers: signed('PUT'), body: 'hello' })
    const reply = await sendRaw(lab.port, 'GET', '/a', { headers: { ...signed('GET'), ...headers } })
    expect([reply.status, element(reply, 'Code') ?? reply.text]).toEqual([status, body])
    if (status < 400) expect([reply.headers.etag, reply.headers['last-modified']]).toEqual([TAG, same])
    if (status === 206) expect(reply.headers['content-range']).toMatch(/^bytes \d-\d\/5$/)
    if (status === 416) expect(reply.headers['content-range']).toBe('bytes */5')
  })

  test('HEAD has the headers of GET, and errors without a body', async () => {
    const lab = await startLab()
    const kept = {
      'Content-Type': 'image/webp',
      'Cache-Control': 'max-age=60',
      'Content-Disposition': 'attachment',
      'Content-Encoding': 'br',
      Expires: 'Thu, 01 Jan 2026 00:00:00 GMT',
      'x-cos-meta-Some-Note': 'a',
    }
    const put = await lab.put('a', '123456789', kept)
    const [head, get] = [await lab.send('HEAD', 'a'), await lab.send('GET', 'a')]
    const lower = Object.entries(kept).map(([name, value]) => [name.toLowerCase(), value])
    expect(head.headers).toMatchObject(Object.fromEntries(lower))
    for (const name of ['content-length', 'etag', 'content-type', 'x-cos-hash-crc64ecma'])
      expect(head.headers[name]).toBe(get.headers[name])
    // The check value of CRC-64/XZ, which is what the vendor computes.
    expect(put.headers['x-cos-hash-crc64ecma']).toBe('11051210869376104954')
    const none = await lab.send('HEAD', 'none')
    expect([none.status, none.text, none.headers.server]).toEqual([404, '', 'tencent-cos'])
    expect(Buffer.from(String(none.headers['x-cos-request-id']), 'base64').toString()).toMatch(
      /^[0-9a-f]+(_[0-9a-f]+){3}$/,
    )
  })

  test('response-* replaces headers; what no header can hold is refused', async () => {
    const lab = await startLab()
    await lab.put('a')
    const query = {
      'response-content-type': 'text/plain',
      'response-content-disposition': 'attachment; filename="红.txt"',
      'response-content-language': 'zh',
      'response-expires': 'never',
      'response-cache-control': 'no-store',
      'response-content-encoding': 'identity',
    }
    const reply = await lab.send('GET', 'a', { query })
    for (const [name, value] of Object.entries(query)) {
      const header = String(reply.headers[name.replace('response-', '')])
      expect(Buffer.from(header, 'latin1').toString()).toBe(value)
    }
    const split = await lab.send('GET', 'a', { query: { 'response-content-type': 'a\r\nSet-Cookie: b' } })
    expect([split.status, element(split, 'Code')]).toEqual([400, 'InvalidArgument'])
  })
})

describe('writing', () => {
  test('of a hundred who forbid overwriting at once, one succeeds', async () => {
    const lab = await startLab()
    const headers = { 'x-cos-forbid-overwrite': 'true' }
    const bodies = Array.from({ length: 100 }, (_, i) => `writer ${i}`)
    const replies = await Promise.all(bodies.map((body) => lab.put('claim', body, headers)))
    const winners = bodies.filter((_, i) => replies[i]?.status === 200)
    expect(winners).toHaveLength(1)
    expect(
      replies.filter((reply) => reply.status === 409 && element(reply, 'Code') === 'FileAlreadyExists'),
    ).toHaveLength(99)
    expect((await lab.send('GET', 'claim')).text).toBe(winners[0])
    expect(lab.events).toHaveLength(1)
    expect(readdirSync(join(lab.options.dir, 'tmp'))).toEqual([])
  })

  test.each<[string, Record<string, string>, number, string]>([
    ['a right Content-MD5', { 'Content-MD5': 'XUFAKrxLKna5cZ2REBfFkg==' }, 200, ''],
    ['a wrong Content-MD5', { 'Content-MD5': 'AUFAKrxLKna5cZ2REBfFkg==' }, 400, 'BadDigest'],
    ['no Content-MD5 at all', { 'Content-MD5': 'nonsense' }, 400, 'InvalidDigest'],
    ['too much metadata', { 'x-cos-meta-a': 'x'.repeat(2100) }, 400, 'InvalidArgument'],
    ['an ACL', { 'x-cos-acl': 'public-read' }, 501, 'NotImplemented'],
    ['a private ACL', { 'x-cos-acl': 'private' }, 200, ''],
    ['a storage class', { 'x-cos-storage-class': 'ARCHIVE' }, 501, 'NotImplemented'],
    ['a header of COS not known here', { 'x-cos-tagging': 'a=b' }, 501, 'NotImplemented'],
  ])('%s', async (_, headers, status, code) => {
    const lab = await startLab()
    const reply = await lab.put('a', 'hello', headers)
    expect([reply.status, element(reply, 'Code') ?? '']).toEqual([status, code])
    expect((await lab.send('HEAD', 'a')).status).toBe(status === 200 ? 200 : 404)
    expect(readdirSync(join(lab.options.dir, 'tmp'))).toEqual([])
  })

  test('a PUT without a length, and a body shorter than it says, are refused and leave nothing', async () => {
    const lab = await startLab()
    const Authorization = authorization({ method: 'PUT', path: '/a' })
    const head = `PUT /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${Authorization}\r\n`
    expect(await talk(lab, `${head}Connection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 411 [\s\S]*<Code>MissingContentLength</,
    )
    expect(await talk(lab, `${head}Content-Length: 10\r\n\r\nhello`)).toMatch(
      /^HTTP\/1.1 400 [\s\S]*<Code>IncompleteBody</,
    )
    expect(await talk(lab, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    await lab.close()
    expect(readdirSync(join(lab.options.dir, 'tmp'))).toEqual([])
    expect(readdirSync(join(lab.options.dir, 'meta'))).toEqual([])
  })

  test('deleting twice is fine, and told of once', async () => {
    const lab = await startLab()
    await lab.put('a')
    expect([(await lab.send('DELETE', 'a')).status, (await lab.send('DELETE', 'a')).status]).toEqual([204, 204])
    expect(lab.events.map(({ kind }) => kind)).toEqual(['created', 'removed'])
  })

  test('an event is told before the answer, with what the vendor’s has', async () => {
    const order: string[] = []
    const lab = await startLab({
      async onEvent({ at: _at, requestId: _id, ...event }) {
        await new Promise((resolve) => setImmediate(resolve))
        order.push(JSON.stringify(event))
      },
    })
    await lab.put('a', 'hello', { 'Content-Type': 'image/png', 'x-cos-meta-a': 'b' })
    order.push('answered')
    expect(order).toEqual([expect.stringContaining('"kind":"created","via":"Put"'), 'answered'])
    expect(JSON.parse(order[0] ?? '')).toMatchObject({
      bucket: BUCKET,
      region: REGION,
      key: 'a',
      size: 5,
      etag: '5d41402abc4b2a76b9719d911017c592',
      meta: { 'Content-Type': 'image/png', 'x-cos-meta-a': 'b' },
      authorization: expect.stringMatching(/^q-sign-algorithm=sha1&/),
    })
  })

  test('an event that could not be taken is an error to the writer', async () => {
    const lab = await startLab({ onEvent: () => Promise.reject(new Error('queue is gone')) })
    const { error } = console
    console.error = () => {}
    onTestFinished(() => {
      console.error = error
    })
    expect((await lab.put('a')).status).toBe(500)
  })
})

describe('keys', () => {
  const nasty = [
    '/',
    '//',
    'a//b',
    '/a',
    'a/',
    '..',
    '../a',
    'a/../b',
    './a',
    '%',
    '%2F',
    '%2f',
    '+',
    ' ',
    'a b',
    '#',
    '?',
    '&',
    '=',
    '"',
    "'",
    '<>',
    '\\',
    '红',
    '🦊',
    '\u0001',
    '\r\n',
    'e\u0301',
    '\ue000',
  ]
  const keys = fc
    .array(
      fc.oneof(
        fc.constantFrom(...nasty),
        fc.string({ unit: 'grapheme', maxLength: 8 }),
        fc.string({ unit: character, maxLength: 4 }),
      ),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    .map((parts) => parts.join(''))
    .filter((key) => key.split('/').some((part) => !/^\.?$/.test(part)) && Buffer.byteLength(key) <= 850)

  test('any key is put, got, listed and deleted as itself', async () => {
    const lab = await startLab()
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(keys, { minLength: 1, maxLength: 4 }), async (chosen) => {
        for (const key of chosen) expect((await lab.put(key, `<${key}>`)).status).toBe(200)
        for (const key of chosen) expect((await lab.send('GET', key)).text).toBe(`<${key}>`)
        const list = await lab.send('GET', '', { query: { 'encoding-type': 'url' } })
        const bytewise = [...chosen].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        expect(elements(list, 'Key').map(decodeURIComponent)).toEqual(bytewise)
        for (const key of chosen) expect((await lab.send('DELETE', key)).status).toBe(204)
        expect(elements(await lab.send('GET', ''), 'Key')).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  test('850 bytes are a key, 851 are not', async () => {
    const lab = await startLab()
    expect((await lab.put('红'.repeat(283).concat('x'))).status).toBe(200)
    const long = await lab.put('红'.repeat(283).concat('xx'))
    expect([long.status, element(long, 'Code')]).toEqual([400, 'KeyTooLong'])
  })

  test.each(['/%', '/%zz', '/%ff', '/a?%'])('the target %s is refused', async (target) => {
    const lab = await startLab()
    const reply = await sendRaw(lab.port, 'GET', target)
    expect([reply.status, element(reply, 'Code')]).toEqual([400, 'InvalidURI'])
  })

  test('a key’s markup does not become the document’s', async () => {
    const lab = await startLab()
    await lab.put(`<Key>&amp;"'`)
    expect((await lab.send('GET', '')).text).toContain('<Key>&lt;Key&gt;&amp;amp;&quot;&apos;</Key>')
    // No XML document can have this character, not even as a reference.
    await lab.put('\u0001')
    expect((await lab.send('GET', '')).text).toContain('<Key>\ufffd</Key>')
  })
})

describe('listing', () => {
  const KEYS = ['a', 'b/1', 'b/2', 'b/c/3', 'd', 'e/4', '\ue000', '🦊']
  const cases: [string, { prefix?: string } & Record<string, string>, string[], string[], string | undefined][] = [
    ['all, in the order of bytes', {}, KEYS, [], undefined],
    ['by prefix', { prefix: 'b/' }, ['b/1', 'b/2', 'b/c/3'], [], undefined],
    ['folders', { delimiter: '/' }, ['a', 'd', '\ue000', '🦊'], ['b/', 'e/'], undefined],
    ['in a folder', { prefix: 'b/', delimiter: '/' }, ['b/1', 'b/2'], ['b/c/'], undefined],
    ['from a marker', { marker: 'b/2' }, ['b/c/3', 'd', 'e/4', '\ue000', '🦊'], [], undefined],
    ['one page', { 'max-keys': '2' }, ['a', 'b/1'], [], 'b/1'],
    ['a page that ends in a folder', { 'max-keys': '2', delimiter: '/' }, ['a'], ['b/'], 'b/'],
    ['and the next', { 'max-keys': '2', delimiter: '/', marker: 'b/' }, ['d'], ['e/'], 'e/'],
    ['a last page that is just full', { 'max-keys': '8' }, KEYS, [], undefined],
    ['more than may be asked for', { 'max-keys': '5000' }, KEYS, [], undefined],
    ['nothing', { 'max-keys': '0' }, [], [], undefined],
  ]
  test('every case', async () => {
    const lab = await startLab()
    for (const key of [...KEYS].reverse()) await lab.put(key)
    for (const [name, query, keys, prefixes, next] of cases) {
      const reply = await lab.send('GET', '', { query })
      const [found, folders] = [elements(reply, 'Key'), elements(reply, 'Prefix').slice(query.prefix ? 1 : 0)]
      expect([name, found, folders.filter(Boolean), element(reply, 'NextMarker')]).toEqual([name, keys, prefixes, next])
      expect(element(reply, 'IsTruncated')).toBe(String(next !== undefined))
    }
    for (const query of [{ 'max-keys': 'x' }, { 'max-keys': '-1' }, { 'encoding-type': 'base64' }]) {
      const reply = await lab.send('GET', '', { query })
      expect([reply.status, element(reply, 'Code')]).toEqual([400, 'InvalidArgument'])
    }
  })

  test('pages put together are the whole, with any delimiter', async () => {
    const lab = await startLab()
    for (const key of KEYS) await lab.put(key)
    const text = fc.constantFrom('', '/', 'b', 'b/', '/c', '🦊')
    await fc.assert(
      fc.asyncProperty(text, text, fc.integer({ min: 1, max: 4 }), async (prefix, delimiter, max) => {
        const page = async (marker: string, size: number): Promise<string[]> => {
          const query = { prefix, delimiter, marker, 'max-keys': `${size}` }
          const reply = await lab.send('GET', '', { query })
          const next = element(reply, 'NextMarker')
          const folders = elements(reply, 'Prefix').filter((folder) => folder !== prefix)
          return [...elements(reply, 'Key'), ...folders, ...(next === undefined ? [] : await page(next, size))]
        }
        expect((await page('', max)).sort()).toEqual((await page('', 1000)).sort())
      }),
      { numRuns: 60 },
    )
  })
})

describe('copying', () => {
  test.each<[string, string, Record<string, string>, number, string]>([
    ['another key', `${HOST}/a%20b`, {}, 200, ''],
    ['with a slash in front', `/${HOST}/a%20b`, {}, 200, ''],
    ['what is not there', `${HOST}/none`, {}, 404, 'NoSuchKey'],
    ['of another bucket', `other-1250000000.cos.${REGION}.myqcloud.com/a`, {}, 404, 'NoSuchBucket'],
    ['of another region', `${BUCKET}.cos.ap-beijing.myqcloud.com/a%20b`, {}, 404, 'NoSuchBucket'],
    ['of no form', 'a b', {}, 400, 'InvalidArgument'],
    ['badly encoded', `${HOST}/%zz`, {}, 400, 'InvalidArgument'],
    ['unless changed', `${HOST}/a%20b`, { 'x-cos-copy-source-If-Match': '"other"' }, 412, 'PreconditionFailed'],
    ['if changed', `${HOST}/a%20b`, { 'x-cos-copy-source-If-None-Match': '*' }, 412, 'PreconditionFailed'],
    ['on what is there', `${HOST}/a%20b`, { 'x-cos-forbid-overwrite': 'true' }, 409, 'FileAlreadyExists'],
  ])('%s', async (_, source, headers, status, code) => {
    const lab = await startLab()
    await lab.put('a b', 'hello', { 'Content-Type': 'image/png' })
    if (status === 409) await lab.put('copy')
    const reply = await lab.send('PUT', 'copy', { headers: { 'x-cos-copy-source': source, ...headers } })
    expect([reply.status, element(reply, 'Code') ?? '']).toEqual([status, code])
    if (status !== 200) return
    expect(element(reply, 'ETag')).toBe('&quot;5d41402abc4b2a76b9719d911017c592&quot;')
    // The copy has bytes of its own.
    await lab.send('DELETE', 'a b')
    const copy = await lab.send('GET', 'copy')
    expect([copy.text, copy.headers['content-type']]).toEqual(['hello', 'image/png'])
  })

  test('onto itself only with new headers', async () => {
    const lab = await startLab()
    await lab.put('a')
    const headers = { 'x-cos-copy-source': `${HOST}/a`, 'Content-Type': 'image/png' }
    expect(element(await lab.send('PUT', 'a', { headers }), 'Code')).toBe('InvalidRequest')
    const replaced = await lab.send('PUT', 'a', { headers: { ...headers, 'x-cos-metadata-directive': 'Replaced' } })
    expect(replaced.status).toBe(200)
    const got = await lab.send('GET', 'a')
    expect([got.text, got.headers['content-type']]).toEqual(['hello', 'image/png'])
  })
})

describe('multipart', () => {
  async function begin(lab: Lab, sizes: number[], headers: Record<string, string> = {}) {
    const id = element(await lab.send('POST', 'big', { query: { uploads: '' }, headers }), 'UploadId') ?? ''
    const etags: string[] = []
    for (const [i, size] of sizes.entries()) {
      const part = await lab.send('PUT', 'big', {
        query: { partNumber: `${i + 1}`, uploadId: id },
        body: Buffer.alloc(size, `${i}`),
      })
      etags.push(String(part.headers.etag))
    }
    return { id, etags }
  }
  const list = (parts: [number, string][]) =>
    `<CompleteMultipartUpload>${parts.map(([n, tag]) => `<Part><PartNumber>${n}</PartNumber><ETag>${tag}</ETag></Part>`).join('')}</CompleteMultipartUpload>`

  test.each<[string, (tags: string[]) => string, number, string]>([
    [
      'both parts',
      (t) =>
        list([
          [1, t[0] ?? ''],
          [2, t[1] ?? ''],
        ]),
      200,
      '',
    ],
    ['the second alone', (t) => list([[2, t[1] ?? '']]), 200, ''],
    ['quotes as entities', (t) => list([[1, (t[0] ?? '').replaceAll('"', '&quot;')]]), 200, ''],
    [
      'out of order',
      (t) =>
        list([
          [2, t[1] ?? ''],
          [1, t[0] ?? ''],
        ]),
      400,
      'InvalidPartOrder',
    ],
    [
      'one twice',
      (t) =>
        list([
          [1, t[0] ?? ''],
          [1, t[0] ?? ''],
        ]),
      400,
      'InvalidPartOrder',
    ],
    ['one that is not there', (t) => list([[3, t[0] ?? '']]), 400, 'InvalidPart'],
    ['of another ETag', (t) => list([[1, t[1] ?? '']]), 400, 'InvalidPart'],
    ['of no number', (t) => list([[Number.NaN, t[0] ?? '']]), 400, 'InvalidPart'],
    ['none', () => '<CompleteMultipartUpload/>', 400, 'MalformedXML'],
    ['no XML', () => 'parts please', 400, 'MalformedXML'],
    ['an empty body', () => '', 400, 'MalformedXML'],
  ])('completing with %s', async (_, body, status, code) => {
    const lab = await startLab()
    const { id, etags } = await begin(lab, [MIB, 10], { 'Content-Type': 'image/png', 'x-cos-meta-a': 'b' })
    const reply = await lab.send('POST', 'big', { query: { uploadId: id }, body: body(etags) })
    expect([reply.status, element(reply, 'Code') ?? '']).toEqual([status, code])
    const head = await lab.send('HEAD', 'big')
    expect(head.status).toBe(status === 200 ? 200 : 404)
    if (status === 200) expect(head.headers).toMatchObject({ 'content-type': 'image/png', 'x-cos-meta-a': 'b' })
    const again = await lab.send('POST', 'big', { query: { uploadId: id }, body: body(etags) })
    expect(element(again, 'Code')).toBe(status === 200 ? 'NoSuchUpload' : code)
  })

  test('a part but the last must not be small', async () => {
    const lab = await startLab()
    const { id, etags } = await begin(lab, [10, 10])
    const body = list([
      [1, etags[0] ?? ''],
      [2, etags[1] ?? ''],
    ])
    expect(element(await lab.send('POST', 'big', { query: { uploadId: id }, body }), 'Code')).toBe('EntityTooSmall')
  })

  test('completed many times at once, it is completed once; forbidding to overwrite, never over another', async () => {
    const lab = await startLab()
    const { id, etags } = await begin(lab, [10])
    const body = list([[1, etags[0] ?? '']])
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => lab.send('POST', 'big', { query: { uploadId: id }, body })),
    )
    expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 404)])
    const second = await begin(lab, [20])
    const headers = { 'x-cos-forbid-overwrite': 'true' }
    const late = await lab.send('POST', 'big', {
      query: { uploadId: second.id },
      headers,
      body: list([[1, second.etags[0] ?? '']]),
    })
    expect([late.status, element(late, 'Code')]).toEqual([409, 'FileAlreadyExists'])
    expect((await lab.send('HEAD', 'big')).headers['content-length']).toBe('10')
    expect(lab.events).toHaveLength(1)
    // What was refused may be tried again.
    const retried = await lab.send('POST', 'big', {
      query: { uploadId: second.id },
      body: list([[1, second.etags[0] ?? '']]),
    })
    expect(retried.status).toBe(200)
    expect((await lab.send('HEAD', 'big')).headers['content-length']).toBe('20')
  })

  test('a part sent again replaces the former; another key’s upload is not found', async () => {
    const lab = await startLab()
    const { id } = await begin(lab, [10])
    const query = { partNumber: '1', uploadId: id }
    const part = await lab.send('PUT', 'big', { query, body: 'again' })
    expect(elements(await lab.send('GET', 'big', { query: { uploadId: id } }), 'Size')).toEqual(['5'])
    expect(readdirSync(join(lab.options.dir, 'uploads', id)).sort()).toEqual([
      expect.stringMatching(/^1-/),
      'upload.json',
    ])
    expect(element(await lab.send('PUT', 'other', { query, body: 'x' }), 'Code')).toBe('NoSuchUpload')
    expect(element(await lab.send('PUT', 'big', { query: { ...query, partNumber: '10001' }, body: 'x' }), 'Code')).toBe(
      'InvalidArgument',
    )
    const body = list([[1, String(part.headers.etag)]])
    expect((await lab.send('POST', 'big', { query: { uploadId: id }, body })).status).toBe(200)
    const got = await lab.send('GET', 'big')
    // MD5 of the parts' MD5s, as bytes.
    const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()
    expect([got.text, got.headers.etag]).toEqual(['again', `"${md5(md5(Buffer.from('again'))).toString('hex')}-1"`])
  })

  test('parts and uploads are listed in pages', async () => {
    const lab = await startLab()
    const { id } = await begin(lab, [1, 2, 3])
    const page = await lab.send('GET', 'big', { query: { uploadId: id, 'max-parts': '1', 'part-number-marker': '1' } })
    expect([elements(page, 'PartNumber'), element(page, 'IsTruncated'), element(page, 'NextPartNumberMarker')]).toEqual(
      [['2'], 'true', '2'],
    )
    for (const key of ['a/1', 'b', 'a/2']) await lab.send('POST', key, { query: { uploads: '' } })
    const all = await lab.send('GET', '', { query: { uploads: '' } })
    expect(elements(all, 'Key')).toEqual(['a/1', 'a/2', 'b', 'big'])
    const folders = await lab.send('GET', '', { query: { uploads: '', delimiter: '/', 'max-uploads': '2' } })
    expect([elements(folders, 'Key'), elements(folders, 'Prefix').at(-1), element(folders, 'IsTruncated')]).toEqual([
      ['b'],
      'a/',
      'true',
    ])
    const rest = await lab.send('GET', '', { query: { uploads: '', 'key-marker': 'b' } })
    expect(elements(rest, 'Key')).toEqual(['big'])
  })
})

describe('the folder', () => {
  test('objects, uploads, buckets and the bill outlast a restart; leftovers do not', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'cos-kept-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const first = await startLab({ dir, keep: true })
    await first.put('a/..//b', 'old')
    await first.put('a/..//b', await photo(), { 'Content-Type': 'image/jpeg', 'x-cos-meta-a': 'b' })
    const id = element(await first.send('POST', 'big', { query: { uploads: '' } }), 'UploadId') ?? ''
    const part = await first.send('PUT', 'big', { query: { partNumber: '1', uploadId: id }, body: 'part' })
    await first.send('PUT', '', { host: `cutouts-1250000000.cos.${REGION}.myqcloud.com` })
    await first.send('GET', 'a/..//b', { query: { 'ci-process': 'GoodsMatting' } })
    const before = await first.send('GET', 'a/..//b')
    await first.close()
    // What a process killed at the worst moments leaves behind.
    writeFileSync(join(dir, 'tmp', 'half'), 'ha')
    writeFileSync(join(dir, 'bytes', 'orphan'), 'published, but its description was not')
    mkdirSync(join(dir, 'uploads', 'unborn'))
    appendFileSync(join(dir, 'bill.jsonl'), '{"at":"2026-')

    const second = await startLab({ dir, keep: true })
    const after = await second.send('GET', 'a/..//b')
    expect(after.bytes.equals(before.bytes)).toBe(true)
    for (const name of ['etag', 'content-type', 'x-cos-meta-a', 'last-modified', 'x-cos-hash-crc64ecma'])
      expect(after.headers[name]).toBe(before.headers[name])
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`
    expect((await second.send('POST', 'big', { query: { uploadId: id }, body })).status).toBe(200)
    expect((await second.send('PUT', 'x', { host: `cutouts-1250000000.cos.${REGION}.myqcloud.com` })).status).toBe(200)
    expect(readdirSync(join(dir, 'tmp'))).toEqual([])
    expect(readdirSync(join(dir, 'bytes'))).toHaveLength(3)
    expect(readdirSync(join(dir, 'uploads'))).toEqual([])
    await second.send('GET', 'a/..//b', { query: { 'ci-process': 'GoodsMatting' } })
    expect(second.bill()).toHaveLength(2)
    await second.close()
    expect((await startLab({ dir, keep: true })).bill()).toEqual(second.bill())
  })

  test('reset leaves nothing but the buckets', async () => {
    const lab = await startLab()
    await lab.put('a', await photo())
    await lab.send('GET', 'a', { query: { 'ci-process': 'GoodsMatting' } })
    await lab.send('POST', 'big', { query: { uploads: '' } })
    await lab.reset()
    expect([lab.bill(), lab.requests()]).toEqual([[], []])
    for (const name of ['bytes', 'meta', 'uploads', 'tmp']) expect(readdirSync(join(lab.options.dir, name))).toEqual([])
    expect(elements(await lab.send('GET', ''), 'Key')).toEqual([])
    expect((await lab.put('a')).status).toBe(200)
  })

  test('a port that is taken is an error, before the folder is touched', async () => {
    const lab = await startLab()
    writeFileSync(join(lab.options.dir, 'tmp', 'under-way'), '')
    await expect(startLab({ port: lab.port, dir: lab.options.dir, keep: true })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
    expect(readdirSync(join(lab.options.dir, 'tmp'))).toEqual(['under-way'])
  })
})

describe('hosts', () => {
  test('a bucket by its own host name, in the Host header or as a proxy’s target', async () => {
    const lab = await startLab({ hosts: new Map([['img.example.com', 80]]) })
    await lab.put('a b')
    for (const host of [
      HOST,
      HOST.toUpperCase(),
      HOST.replace('cos', 'cos-internal').replace('myqcloud.com', 'tencentcos.cn'),
      'img.example.com',
    ])
      expect((await lab.send('GET', 'a b', { host })).text).toBe('hello')
    const Authorization = authorization({ method: 'GET', path: '/a b', headers: { host: HOST } })
    const proxied = await sendRaw(lab.port, 'GET', `http://${HOST}/${encodeKey('a b')}`, {
      headers: { Host: 'other', Authorization },
    })
    expect(proxied.text).toBe('hello')
  })

  test.each([
    [`other-1250000000.cos.${REGION}.myqcloud.com`, 404, 'NoSuchBucket'],
    [`${BUCKET}.cos.ap-beijing.myqcloud.com`, 404, 'NoSuchBucket'],
    ['service.cos.myqcloud.com', 501, 'NotImplemented'],
  ])('%s', async (host, status, code) => {
    const reply = await (await startLab()).send('GET', '', { host })
    expect([reply.status, element(reply, 'Code')]).toEqual([status, code])
  })

  test('further buckets of the account, each with its own objects', async () => {
    const lab = await startLab()
    const host = `cutouts-1250000000.cos.${REGION}.myqcloud.com`
    expect((await lab.send('PUT', '', { host })).status).toBe(200)
    expect(element(await lab.send('PUT', '', { host }), 'Code')).toBe('BucketAlreadyOwnedByYou')
    await lab.send('PUT', 'a', { host, body: 'there' })
    expect((await lab.send('HEAD', '', { host })).headers['x-cos-bucket-region']).toBe(REGION)
    expect((await lab.send('GET', 'a', { host })).text).toBe('there')
    expect((await lab.send('GET', 'a')).status).toBe(404)
    const foreign = await lab.send('PUT', '', { host: `cutouts-1999999999.cos.${REGION}.myqcloud.com` })
    expect([foreign.status, element(foreign, 'Code')]).toEqual([403, 'AccessDenied'])
  })
})

describe('what is not here is said to be so', () => {
  test.each([
    ['GET', 'a', 'acl'],
    ['PUT', 'a', 'acl'],
    ['GET', 'a', 'tagging'],
    ['GET', 'a', 'versionId=1'],
    ['GET', 'a', 'imageView2/1/w/200'],
    ['GET', 'a', 'imageMogr2/thumbnail/200x=1'],
    ['GET', 'a', 'exif'],
    ['GET', 'a', 'ci-process=AIPicMatting'],
    ['HEAD', 'a', 'ci-process=GoodsMatting'],
    ['POST', 'a', 'append'],
    ['POST', 'a', 'restore'],
    ['POST', 'a', ''],
    ['POST', '', 'delete'],
    ['GET', '', 'tagging'],
    ['GET', '', 'versions'],
    ['DELETE', '', ''],
    ['PUT', 'a', 'strict-signature'],
  ])('%s /%s?%s', async (method, key, search) => {
    const lab = await startLab()
    await lab.put('a', await photo())
    const [name = '', value] = search.split('=')
    const reply = await lab.send(method, key, { query: search ? { [name]: value ?? '' } : {} })
    expect(reply.status).toBe(501)
    if (method !== 'HEAD') {
      expect(element(reply, 'Code')).toBe('NotImplemented')
      expect(element(reply, 'Message')).toContain(search && name !== 'ci-process' ? name : (value ?? method))
    }
    expect((await lab.send('GET', 'a')).status).toBe(200)
    expect(lab.bill()).toEqual([])
  })

  test('a parameter that means nothing to COS is ignored, as there', async () => {
    const lab = await startLab()
    await lab.put('a')
    expect((await lab.send('GET', 'a', { query: { v: '123' } })).text).toBe('hello')
  })

  test('another method is not allowed', async () => {
    const reply = await (await startLab()).send('PATCH', 'a')
    expect([reply.status, element(reply, 'Code')]).toEqual([405, 'MethodNotAllowed'])
  })
})

test('nobody but this computer is served', async () => {
  const { port } = await startLab()
  for (const host of ['127.0.0.2', '::1'])
    await expect(once(connect({ host, port }), 'connect')).rejects.toMatchObject({ code: expect.stringMatching(/^E/) })
})

test('a page that may ask may read and write: CORS', async () => {
  const Origin = 'http://127.0.0.1:8080'
  const lab = await startLab({ pages: { ports: new Set(), origins: [Origin] } })
  const asked = {
    Origin,
    'Access-Control-Request-Method': 'PUT',
    'Access-Control-Request-Headers': 'authorization, pic-operations',
  }
  const preflight = await sendRaw(lab.port, 'OPTIONS', '/a', { headers: asked })
  expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([200, Origin])
  expect(preflight.headers['access-control-allow-methods']).toBe('PUT')
  expect(preflight.headers['access-control-allow-headers']).toBe('authorization, pic-operations')
  const bare = await sendRaw(lab.port, 'OPTIONS', '/a')
  expect([bare.status, element(bare, 'Code')]).toEqual([403, 'AccessForbidden'])
  await lab.put('a', 'hello', { 'x-cos-meta-note': 'b' })
  const got = await lab.send('GET', 'a', { headers: { Origin } })
  expect([got.headers['access-control-allow-origin'], got.headers.vary]).toEqual([Origin, 'Origin'])
  for (const name of ['ETag', 'x-cos-request-id', 'x-cos-meta-note', 'x-cos-hash-crc64ecma'])
    expect(String(got.headers['access-control-expose-headers']).split(', ')).toContain(name)
  const bad = await lab.send('GET', 'a', { headers: { Origin }, secret: 'another' })
  expect([bad.status, bad.headers['access-control-allow-origin']]).toEqual([403, Origin])
  expect((await lab.send('GET', 'a')).headers['access-control-allow-origin']).toBeUndefined()
})

describe('faults', () => {
  test.each<[string, number, string]>([
    ['error', 500, 'InternalError'],
    ['slow-down', 503, 'SlowDown'],
  ])('%s: nothing is done', async (kind, status, code) => {
    const lab = await startLab()
    lab.faults.set([{ on: 'PutObject', kind: kind as 'error', times: 1 }])
    const reply = await lab.put('a')
    expect([reply.status, element(reply, 'Code')]).toEqual([status, code])
    expect((await lab.send('HEAD', 'a')).status).toBe(404)
    expect((await lab.put('a')).status).toBe(200)
  })

  test('delay waits, and then all is as usual', async () => {
    const lab = await startLab()
    lab.faults.set([{ on: 'PutObject', kind: 'delay', ms: 30 }])
    expect((await lab.put('a')).status).toBe(200)
    // Timers may be a millisecond early.
    expect(lab.requests()[0]?.ms).toBeGreaterThanOrEqual(29)
  })

  test('reset takes the connection before, lose-answer after the deed', async () => {
    const lab = await startLab()
    lab.faults.set([{ on: 'PutObject', kind: 'reset', times: 1 }])
    await expect(lab.put('a')).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect((await lab.send('HEAD', 'a')).status).toBe(404)
    lab.faults.set([{ on: '*', kind: 'lose-answer', times: 1 }])
    await expect(lab.put('a')).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect((await lab.send('HEAD', 'a')).status).toBe(200)
    expect(lab.events).toHaveLength(1)
    expect(lab.requests().map(({ operation, status }) => [operation, status])).toEqual([
      ['PutObject', 0],
      ['HeadObject', 404],
      ['PutObject', 0],
      ['HeadObject', 200],
    ])
  })
})

test('no request makes a 500', async () => {
  const lab = await startLab()
  const body = await photo()
  await lab.put('a', body)
  const half = fc.string({ unit: fc.constantFrom('\\ud83e', '\\udd8a', 'a', '/', '\\u0000') })
  const names = fc.constantFrom(
    ...[
      'ci-process',
      'uploads',
      'uploadId',
      'partNumber',
      'image_process',
      'prefix',
      'marker',
      'delimiter',
      'max-keys',
    ],
    ...['encoding-type', 'detect-url', 'center-layout', 'padding-layout', 'response-expires', 'max-parts', 'x'],
  )
  const values = fc.oneof(
    fc.constantFrom('', 'GoodsMatting', '1', '-1', 'url', '1e9', '0x1'),
    fc.string({ unit: character }),
  )
  const rules = fc.record({ fileid: half, rule: fc.constant('ci-process=GoodsMatting') }, { requiredKeys: [] })
  const json = fc.oneof(
    fc.json(),
    fc.array(rules, { maxLength: 2 }).map((list) => JSON.stringify({ rules: list }).replaceAll('\\\\u', '\\u')),
  )
  const headers = fc.record(
    {
      Range: fc.string({ unit: 'grapheme-ascii' }),
      'If-Modified-Since': fc.string({ unit: 'grapheme-ascii' }),
      'x-cos-copy-source': fc.string({ unit: 'grapheme-ascii' }),
      'Content-MD5': fc.string({ unit: 'grapheme-ascii' }),
      'x-cos-acl': fc.constantFrom('private', 'public-read'),
      'Pic-Operations': json.map((text) => Buffer.from(text).toString('latin1')),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE'),
      fc.constantFrom('a', 'b', '', '..', '红'),
      fc.dictionary(names, values, { maxKeys: 3, noNullPrototype: true }),
      headers,
      async (method, key, query, fields) => {
        const host = `127.0.0.1:${lab.port}`
        const signed = authorization({ method, path: `/${key}`, query, headers: { host } })
        const search = Object.entries(query).map((pair) => pair.map(encodeURIComponent).join('='))
        const target = `/${encodeKey(key)}?${search.join('&')}`
        const sent = { headers: { ...fields, Authorization: signed }, ...(method === 'PUT' && { body }) }
        const reply = await sendRaw(lab.port, method, target, sent)
        expect(reply.status).not.toBe(500)
        expect(element(reply, 'Code')).not.toBe('SignatureDoesNotMatch')
      },
    ),
    { numRuns: 400 },
  )
})

test('CRC-64 in pieces is that of the whole, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const pieces = new Crc64()
      pieces.update(a)
      pieces.update(b)
      // The definition, bit by bit.
      let crc = 0xffffffffffffffffn
      for (const byte of [...a, ...b]) {
        crc ^= BigInt(byte)
        for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0xc96c5795d7870f42n : crc >> 1n
      }
      expect(pieces.digest()).toBe((crc ^ 0xffffffffffffffffn).toString())
    }),
  )
})
