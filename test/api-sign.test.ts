import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type SignedRequest, verify } from '../local/api/sign.ts'
import vectors from './fixtures/tc3.json' with { type: 'json' }

type Vector = (typeof vectors)[number]

function request(vector: Vector, headers: Record<string, string> = {}): SignedRequest {
  const { secretId, scope, signature, method, search, body, contentType, host, timestamp } = vector
  return {
    method,
    search,
    body: Buffer.from(body),
    headers: {
      'content-type': contentType,
      host,
      'x-tc-timestamp': String(timestamp),
      authorization: `TC3-HMAC-SHA256 Credential=${secretId}/${scope}, SignedHeaders=content-type;host, Signature=${signature}`,
      ...headers,
    },
  }
}

const keysOf = ({ secretId, secretKey }: Vector) => new Map([[secretId, { secret: secretKey }]])
const judge = (vector: Vector, changed: Partial<SignedRequest> = {}, ms = 0) =>
  verify({ ...request(vector), ...changed }, keysOf(vector), vector.timestamp * 1000 + ms)
const code = (name: string) => expect.objectContaining({ code: `AuthFailure.${name}` })

const [post] = vectors
if (!post) throw new Error('tc3.json is empty')

describe('TC3-HMAC-SHA256', () => {
  it.each(vectors)('$method: the published signature is right, and its key is told', (vector) => {
    expect(judge(vector)).toBe(vector.secretId)
  })

  it.each(vectors)('$method: a request changed on its way is refused', (vector) => {
    expect(() => judge(vector, { body: Buffer.from('{"Limit": 100}') })).toThrow(code('SignatureFailure'))
    const other = request(vector, { 'content-type': 'application/json' })
    expect(() => judge(vector, other)).toThrow(code('SignatureFailure'))
    expect(() => judge(vector, request(vector, { host: 'cam.tencentcloudapi.com' }))).toThrow(code('SignatureFailure'))
  })

  it('a query is signed in GET alone', () => {
    for (const vector of vectors) {
      const changed = () => judge(vector, { search: 'Limit=100' })
      if (vector.method === 'GET') expect(changed).toThrow(code('SignatureFailure'))
      else expect(changed()).toBe(vector.secretId)
    }
  })

  it('the port of a host may be signed or not', () => {
    expect(judge(post, request(post, { host: `${post.host}:4514` }))).toBe(post.secretId)
  })

  it.each([300_000, -300_000])('a clock that is %i ms off is right enough, and no further', (ms) => {
    expect(judge(post, {}, ms)).toBe(post.secretId)
    expect(() => judge(post, {}, ms + Math.sign(ms))).toThrow(code('SignatureExpire'))
  })

  it('a signature replayed under another time is refused', () => {
    const later = request(post, { 'x-tc-timestamp': String(post.timestamp + 1) })
    expect(() => judge(post, later)).toThrow(code('SignatureFailure'))
    const nextDay = request(post, { 'x-tc-timestamp': String(post.timestamp + 86_400) })
    expect(() => judge(post, nextDay, 86_400_000)).toThrow(code('SignatureFailure'))
  })

  it('of the day that a clock in Guangzhou shows is refused: days are those of UTC', () => {
    const { secretKey, contentType, host, body } = post
    // 17:00 in UTC: there, the next day has begun.
    const time = Date.UTC(2026, 0, 1, 17)
    const at = (date: string) => {
      const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
      const sha = (text: string) => createHash('sha256').update(text).digest('hex')
      const scope = `${date}/cvm/tc3_request`
      const text = `POST\n/\n\ncontent-type:${contentType}\nhost:${host}\n\ncontent-type;host\n${sha(body)}`
      const key = mac(mac(mac(`TC3${secretKey}`, date), 'cvm'), 'tc3_request')
      const signature = mac(key, `TC3-HMAC-SHA256\n${time / 1000}\n${scope}\n${sha(text)}`).toString('hex')
      return verify(request({ ...post, timestamp: time / 1000, scope, signature }), keysOf(post), time)
    }
    expect(at('2026-01-01')).toBe(post.secretId)
    expect(() => at('2026-01-02')).toThrow(code('SignatureFailure'))
  })

  it('of an unknown key, of another secret, with a token that is not the key’s, it is refused', () => {
    const now = post.timestamp * 1000
    expect(() => verify(request(post), new Map(), now)).toThrow(code('SecretIdNotFound'))
    const wrong = new Map([[post.secretId, { secret: 'local-secret' }]])
    expect(() => verify(request(post), wrong, now)).toThrow(code('SignatureFailure'))
    expect(() => judge(post, request(post, { 'x-tc-token': 'x' }))).toThrow(code('TokenFailure'))
    const temporary = new Map([[post.secretId, { secret: post.secretKey, token: 'x', expires: now }]])
    expect(() => verify(request(post), temporary, now)).toThrow(code('TokenFailure'))
    expect(verify(request(post, { 'x-tc-token': 'x' }), temporary, now)).toBe(post.secretId)
    expect(() => verify(request(post, { 'x-tc-token': 'x' }), temporary, now + 1)).toThrow(code('TokenFailure'))
  })

  it.each([
    ['nothing', ''],
    ['signature version 1', 'HmacSHA256 Credential=a/2019-02-25/cvm/tc3_request, SignedHeaders=host, Signature=00'],
  ])('with %s for a signature, it is refused', (_, authorization) => {
    expect(() => judge(post, request(post, { authorization }))).toThrow(code('InvalidAuthorization'))
  })

  it('that leaves the host unsigned, or signs a header that is not sent, is refused', () => {
    const { authorization = '' } = request(post).headers
    const signing = (names: string) =>
      request(post, { authorization: authorization.replace('content-type;host', names) })
    expect(() => judge(post, signing('content-type'))).toThrow(/host/)
    expect(() => judge(post, signing('content-type;host;x-tc-action'))).toThrow(/x-tc-action/)
  })
})
