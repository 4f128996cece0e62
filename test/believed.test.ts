import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { type Cos, createCos } from '../lib/cos.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { ID, SECRET } from './helpers/cos.ts'
import { against, error, OBJECT, type Respond, rules, status, time } from './helpers/fake.ts'
import { outcome, startStill } from './helpers/still.ts'

const { 'x-cos-request-id': id, ...nobody } = OBJECT
/** An answer of somebody who is not COS. */
const foreign =
  (code: number, body: string, headers: Record<string, string> = {}): Respond =>
  (_, response) =>
    void response.writeHead(code, { ...nobody, ...headers, 'content-length': Buffer.byteLength(body) }).end(body)

const PAYING = {
  process: (cos: Cos, until = time().until) => cos[paid].process('a', rules, { ...time(), until }),
  upload: (cos: Cos, until = time().until) =>
    cos[paid].upload('a', { body: Buffer.from('x'), type: 'image/jpeg' }, rules, { ...time(), until }),
  detect: (cos: Cos, until = time().until) => cos[paid].detect('http://a.example/', plain, { ...time(), until }),
}

const PNG = await sharp({ create: { width: 3, height: 2, channels: 4, background: '#0000' } })
  .png()
  .toBuffer()
const RESULT = '<UploadResult><OriginalInfo/></UploadResult>'

describe('an error that only looks like COS’s', () => {
  it.each([
    ['without a code', 403, '<html><Error>Sign in</Error></html>'],
    ['in JSON, as any gateway’s', 404, '{"code":"NoSuchKey","message":"No such route"}'],
  ])('%s is not believed', async (_, code, body) => {
    const { cos } = await against(foreign(code, body))
    expect(await outcome(cos.get('a'))).toBe('unavailable')
    expect(await outcome(PAYING.process(cos))).toBe('unknown-outcome')
  })

  it('is COS’s if it has the id of Cloud Infinite', async () => {
    const { cos, seen } = await against(foreign(404, error('NoSuchKey'), { 'x-ci-request-id': id }))
    expect([await cos.get('a'), await cos.head('a'), seen.length]).toEqual([undefined, undefined, 2])
  })

  it('is no code that some object happens to have', async () => {
    for (const code of ['constructor', 'toString', '__proto__']) {
      expect(await outcome(PAYING.process((await against(status(403, error(code)))).cos))).toBe('denied')
    }
  })

  it('whose code is hidden in an entity has none', async () => {
    const bomb = `<!DOCTYPE a [<!ENTITY c "NoSuchKey">]><Error><Code>&c;</Code></Error>`
    expect(await outcome((await against(status(404, bomb))).cos.get('a'))).toBe('denied')
  })
})

describe('a paid call', () => {
  it.each(['process', 'upload', 'detect'] as const)('%s is signed until its end, and no longer', async (name) => {
    const { cos, seen } = await against(status(500))
    await outcome(PAYING[name](cos, 1_700_000_123_999))
    expect(seen[0]?.headers.authorization).toContain(';1700000123&')
  })

  it.each<[name: keyof typeof PAYING, code: number, body: string | Buffer, expected: string]>([
    [
      'process',
      200,
      `<UploadResult><OriginalInfo/>${error('X').replace(/^.*\n/, '')}</UploadResult>`,
      'unknown-outcome',
    ],
    ['process', 500, RESULT, 'unknown-outcome'],
    ['process', 403, RESULT, 'denied'],
    ['detect', 500, PNG, 'unknown-outcome'],
    ['detect', 206, PNG, 'unknown-outcome'],
    // Nothing was done if the signature had ended; but this is no answer to a signature.
    [
      'process',
      500,
      '<Error><Code>InternalError</Code><Message>The lease has expired</Message></Error>',
      'unknown-outcome',
    ],
  ])('%s that is answered %i %s is %s', async (name, code, body, expected) => {
    expect(await outcome(PAYING[name]((await against(status(code, body))).cos))).toBe(expected)
  })

  it('may bring a cutout of more than 8 MiB, and no more than 32', async () => {
    const large = Buffer.concat([PNG, Buffer.alloc(9 * 1024 * 1024)])
    expect(Buffer.compare(Object(await PAYING.detect((await against(status(200, large))).cos)), large)).toBe(0)
  })
})

describe('a free call', () => {
  it('whose answer is no success is none', async () => {
    const type = { type: 'text/plain' }
    expect(await outcome((await against(status(409, error('PathConflict')))).cos.put('a', 'x', type))).toBe('denied')
    expect(await outcome((await against(status(200, '', { etag: '"0"' }))).cos.head('a'))).toBe('unavailable')
    const undated = status(206, 'abc', { 'content-range': 'bytes 0-2/3', 'last-modified': 'soon' })
    expect(await outcome((await against(undated)).cos.pieces('a'))).toBe('unavailable')
  })

  it('is not refused where this clock is up to five minutes ahead of COS’s', async () => {
    const still = await startStill()
    const ahead = { deadline: Number.POSITIVE_INFINITY, now: () => still.now() + 299_000, random: () => 0 }
    const credentials = { secretId: ID, secretKey: SECRET }
    const cos = createCos({ endpoint: `http://127.0.0.1:${still.port}`, credentials, ...ahead })
    expect(await cos.head('a')).toBeUndefined()
    expect(still.requests().map((one) => one.status)).toEqual([404])
  })

  it('lists on in the order of bytes, which is not JavaScript’s', async () => {
    const page = (key: string, more: boolean) =>
      `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${more}</IsTruncated><Contents><Key>${encodeURIComponent(key)}</Key><LastModified>2026-01-09T22:33:18.000Z</LastModified><ETag>"0"</ETag><Size>1</Size></Contents></ListBucketResult>`
    const keys = ['a/～', 'a/😀']
    const { cos } = await against((request, response, n) =>
      status(200, page(keys[n - 1] ?? '', n === 1))(request, response, n),
    )
    const listed = []
    for await (const { key } of cos.list('a/')) listed.push(key)
    expect(listed).toEqual(keys)
  })

  it('for more of an object that has gone meanwhile ends in `changed`', async () => {
    const first = status(206, 'abc', { 'content-range': 'bytes 0-2/9' })
    const { cos } = await against((request, response, n) =>
      (n === 1 ? first : status(404, error('NoSuchKey')))(request, response, n),
    )
    const pieces: string[] = []
    const read = async () => {
      for await (const piece of (await cos.pieces('a'))?.pieces ?? []) pieces.push(String(piece))
    }
    await expect(read()).rejects.toMatchObject({ code: 'changed' })
    expect(pieces).toEqual(['abc'])
  })
})
