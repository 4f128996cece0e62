import { readFileSync } from 'node:fs'
import COS from 'cos-nodejs-sdk-v5'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeKey, Refusal } from '../local/cos/answer.ts'
import {
  byEncodedName,
  formatString,
  listed,
  type Signable,
  sign,
  signKey,
  stringToSign,
  verify,
} from '../local/cos/verify.ts'
import { character } from './helpers/characters.ts'
import {
  authorization,
  BUCKET,
  element,
  ID,
  type Lab,
  photo,
  REGION,
  SECRET,
  sendRaw,
  startLab,
} from './helpers/cos.ts'

interface Vector {
  name: string
  input: {
    method: string
    pathname: string
    query: Record<string, string>
    headers: Record<string, string>
    keyTime: string
    secretKey?: string
    signKey?: string
  }
  expected: {
    signKey: string
    httpString: string
    stringToSign: string
    headerList: string
    urlParamList: string
    signature: string
  }
}

const vectors = JSON.parse(readFileSync(new URL('fixtures/q-sign.json', import.meta.url), 'utf8')) as Vector[]
const KEY_TIME = '1700000000;1700000900'
const NOW = 1_700_000_100_000

describe.each(vectors)('vector $name', ({ input, expected }) => {
  const headers = new Map(Object.entries(input.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const query = new Map(Object.entries(input.query))

  test('every step', () => {
    const params = listed(expected.urlParamList, byEncodedName(query))
    const fields = listed(expected.headerList, byEncodedName(headers))
    expect([params.complete, fields.complete]).toEqual([true, true])
    const format = formatString(input.method, input.pathname, params.text, fields.text)
    expect(format).toBe(expected.httpString)
    expect(stringToSign(input.keyTime, format)).toBe(expected.stringToSign)
    if (input.secretKey) expect(signKey(input.secretKey, input.keyTime)).toBe(expected.signKey)
    expect(sign(expected.signKey, expected.stringToSign)).toBe(expected.signature)
  })
})

// The vendor's own start from a SignKey: there is no secret to verify them with.
describe.each(vectors.filter(({ input }) => input.secretKey))('vector $name', ({ input, expected }) => {
  const headers = new Map(Object.entries(input.headers).map(([name, value]) => [name.toLowerCase(), value]))
  const query = new Map(Object.entries(input.query))

  test('as a header and as a URL', () => {
    const fields = {
      'q-sign-algorithm': 'sha1',
      'q-ak': ID,
      'q-sign-time': input.keyTime,
      'q-key-time': input.keyTime,
      'q-header-list': expected.headerList,
      'q-url-param-list': expected.urlParamList,
      'q-signature': expected.signature,
    }
    const host = headers.get('host') ?? ''
    const token = headers.get('x-cos-security-token')
    const keys = new Map([[ID, { secret: input.secretKey ?? '', ...(token !== undefined && { token }) }]])
    const rest = new Map([...headers].filter(([name]) => name !== 'host'))
    const request = { method: input.method, path: input.pathname, query, headers: rest, hosts: [host], bucket: BUCKET }
    const text = Object.entries(fields).map((pair) => pair.join('='))
    const inHeader = { ...request, headers: new Map([...rest, ['authorization', text.join('&')]]) }
    const inUrl = { ...request, query: new Map([...query, ...Object.entries(fields)]) }
    for (const signed of [inHeader, inUrl]) {
      expect(() => verify(signed, keys, NOW)).not.toThrow()
      expect(refusal(() => verify({ ...signed, path: '/other' }, keys, NOW))).toBe('SignatureDoesNotMatch')
      expect(refusal(() => verify({ ...signed, method: 'DELETE' }, keys, NOW))).toBe('SignatureDoesNotMatch')
      expect(refusal(() => verify({ ...signed, hosts: ['other'] }, keys, NOW))).toBe('SignatureDoesNotMatch')
    }
  })
})

function refusal(run: () => void): string {
  try {
    run()
    return 'none'
  } catch (error) {
    return error instanceof Refusal ? error.code : String(error)
  }
}

describe('what the vendor’s signer signs', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z]$/)
  const value = fc.string({ unit: character, maxLength: 12 })
  const requests = fc.record({
    method: fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'DELETE'),
    path: value.map((text) => `/${text}`),
    query: fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true }),
    meta: fc.dictionary(name, value.filter(Boolean), { maxKeys: 4, noNullPrototype: true }),
  })

  function signed({ method, path, query, meta }: typeof requests extends fc.Arbitrary<infer T> ? T : never): Signable {
    const host = `${BUCKET}.cos.${REGION}.myqcloud.com`
    const headers = Object.fromEntries(Object.entries(meta).map(([key, text]) => [`x-cos-meta-${key}`, text]))
    const auth = authorization({ method, path, query, headers: { host, ...headers }, keyTime: KEY_TIME })
    return {
      method,
      path,
      query: new Map(Object.entries(query)),
      headers: new Map([...Object.entries(headers), ['authorization', auth]]),
      ...{ hosts: [host], bucket: BUCKET },
    }
  }
  const keys = new Map([[ID, { secret: SECRET }]])

  test('verifies', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(() => verify(signed(request), keys, NOW)).not.toThrow()
      }),
    )
  })

  test('does not once a listed value is changed or taken away, or the path or secret is another', () => {
    fc.assert(
      fc.property(requests, fc.nat(), (request, pick) => {
        const good = signed(request)
        const names = [...good.query.keys()]
        const chosen = names[pick % names.length]
        const bad: Signable[] = [{ ...good, path: `${good.path}x` }]
        if (chosen !== undefined) {
          bad.push({ ...good, query: new Map([...good.query, [chosen, `${good.query.get(chosen)}x`]]) })
          bad.push({ ...good, query: new Map([...good.query].filter(([other]) => other !== chosen)) })
        }
        for (const request of bad) expect(refusal(() => verify(request, keys, NOW))).toBe('SignatureDoesNotMatch')
        const others = new Map([[ID, { secret: `${SECRET}x` }]])
        expect(refusal(() => verify(good, others, NOW))).toBe('SignatureDoesNotMatch')
      }),
    )
  })

  test('a name of any characters verifies, in a list as it is and in one encoded once more', () => {
    fc.assert(
      fc.property(
        value.filter((text) => /^[^;%]+$/.test(text) && text === text.toLowerCase()),
        (text) => {
          const [encoded] = byEncodedName(new Map([[text, '']])).keys()
          const values = byEncodedName(new Map([[text, 'v']]))
          expect(listed(text, values).complete).toBe(true)
          expect(listed(encoded ?? '', values)).toEqual({ names: [encoded], text: `${encoded}=v`, complete: true })
        },
      ),
    )
  })
})

describe('over the wire', () => {
  const nowSeconds = () => Math.floor(Date.now() / 1000)

  /** The vendor's fields with some of them replaced, or taken out. */
  function fields(lab: Lab, path: string, changes: Record<string, string | undefined> = {}, query = {}): string {
    const host = `127.0.0.1:${lab.port}`
    const keyTime = `${nowSeconds() - 1};${nowSeconds() + 60}`
    const auth = authorization({ method: 'GET', path, query, headers: { host }, keyTime })
    const pairs = auth
      .split('&')
      .map((pair): [string, string | undefined] => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)])
    const all = Object.entries({ ...Object.fromEntries(pairs), ...changes })
    return all.flatMap(([name, text]) => (text === undefined ? [] : [`${name}=${text}`])).join('&')
  }

  const later = nowSeconds() + 16 * 60
  test.each<[string, Record<string, string | undefined>, number, string, string]>([
    ['a right signature', {}, 200, '', ''],
    ['an unknown id', { 'q-ak': 'NOBODY' }, 403, 'InvalidAccessKeyId', 'not exist'],
    ['a wrong signature', { 'q-signature': '0'.repeat(40) }, 403, 'SignatureDoesNotMatch', 'is invalid'],
    ['a signature of another length', { 'q-signature': 'x' }, 403, 'SignatureDoesNotMatch', 'is invalid'],
    ['another algorithm', { 'q-sign-algorithm': 'md5' }, 403, 'AccessDenied', 'Access Denied'],
    ['a field that is missing', { 'q-header-list': undefined }, 403, 'AccessDenied', 'Access Denied'],
    ['a time that is none', { 'q-sign-time': 'now;then' }, 403, 'AccessDenied', 'Access Denied'],
    ['a time that has passed', { 'q-sign-time': '1700000000;1700000900' }, 403, 'AccessDenied', 'Request has expired'],
    ['a time to come', { 'q-sign-time': `${later};${later + 60}` }, 403, 'RequestTimeTooSkewed', 'clock'],
    [
      'a key time that has passed',
      { 'q-key-time': '1700000000;1700000900' },
      403,
      'AccessDenied',
      'Request has expired',
    ],
    [
      'a parameter that is listed but not sent',
      { 'q-url-param-list': 'a' },
      403,
      'SignatureDoesNotMatch',
      'is invalid',
    ],
    [
      'a header that is listed but not sent',
      { 'q-header-list': 'host;x-cos-meta-a' },
      403,
      'SignatureDoesNotMatch',
      'is invalid',
    ],
  ])('%s', async (_, changes, status, code, message) => {
    const lab = await startLab()
    await lab.put('a')
    const text = fields(lab, '/a', changes)
    const replies = [
      await sendRaw(lab.port, 'GET', '/a', { headers: { Authorization: text } }),
      await sendRaw(lab.port, 'GET', `/a?${text}`),
    ]
    for (const reply of replies) {
      expect(reply.status).toBe(status)
      if (code)
        expect([element(reply, 'Code'), element(reply, 'Message')]).toEqual([code, expect.stringContaining(message)])
    }
  })

  test('no signature, or another scheme, is denied', async () => {
    const lab = await startLab()
    await lab.put('a')
    expect(element(await sendRaw(lab.port, 'GET', '/a'), 'Code')).toBe('AccessDenied')
    const basic = await sendRaw(lab.port, 'GET', '/a', { headers: { Authorization: 'Basic YTpi' } })
    expect([basic.status, element(basic, 'Code')]).toEqual([403, 'AccessDenied'])
  })

  test('the error tells what was expected to be signed, as the vendor’s does', async () => {
    const lab = await startLab()
    const host = `127.0.0.1:${lab.port}`
    const keyTime = `1;${nowSeconds() + 60}`
    const auth = authorization({
      method: 'GET',
      path: '/a&b',
      query: { acl: '' },
      headers: { host },
      secret: 'WRONG',
      keyTime,
    })
    const reply = await sendRaw(lab.port, 'GET', '/a%26b?acl', { headers: { Authorization: auth } })
    const format = `get\n/a&b\nacl=\nhost=${encodeURIComponent(host)}\n`
    expect(
      reply.text.startsWith("<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>SignatureDoesNotMatch</Code>"),
    ).toBe(true)
    expect(element(reply, 'FormatString')).toBe(format.replaceAll('&', '&amp;'))
    expect(element(reply, 'StringToSign')).toBe(stringToSign(keyTime, format))
    expect(element(reply, 'Resource')).toBe('/a%26b')
    expect(element(reply, 'RequestId')).toBe(reply.headers['x-cos-request-id'])
  })

  test.each([';', '%3B', '%3b'])('lists joined by %s', async (mark) => {
    const lab = await startLab()
    await lab.put('a')
    const query = { 'response-cache-control': 'no-store', 'response-content-type': 'text/plain' }
    const text = fields(lab, '/a', { 'q-url-param-list': Object.keys(query).join(mark) }, query)
    const search = 'response-cache-control=no-store&response-content-type=text%2Fplain'
    const inUrl = await sendRaw(lab.port, 'GET', `/a?${text}&${search}`)
    const inHeader = await sendRaw(lab.port, 'GET', `/a?${search}`, { headers: { Authorization: text } })
    const turned = fields(lab, '/a', { 'q-url-param-list': Object.keys(query).reverse().join(mark) }, query)
    const inAnyOrder = await sendRaw(lab.port, 'GET', `/a?${turned}&${search}`)
    for (const reply of [inUrl, inHeader, inAnyOrder])
      expect([reply.status, reply.headers['cache-control'], reply.headers['content-type']]).toEqual([
        200,
        'no-store',
        'text/plain',
      ])
  })

  test('the host may be signed without its port, but not as another', async () => {
    const lab = await startLab()
    await lab.put('a')
    const status = async (host: string) => {
      const auth = authorization({ method: 'GET', path: '/a', headers: { host } })
      return (await sendRaw(lab.port, 'GET', '/a', { headers: { Authorization: auth } })).status
    }
    expect(await status('127.0.0.1')).toBe(200)
    expect(await status('127.0.0.2')).toBe(403)
  })

  test('headers are verified as the UTF-8 or Latin-1 they are sent in, and given back so', async () => {
    const lab = await startLab()
    for (const [text, wire] of [
      ['café', 'café'],
      ['红', Buffer.from('红').toString('latin1')],
    ] as const) {
      const host = `127.0.0.1:${lab.port}`
      const auth = authorization({ method: 'PUT', path: '/a', headers: { host, 'x-cos-meta-a': text } })
      const put = await sendRaw(lab.port, 'PUT', '/a', { headers: { Authorization: auth, 'x-cos-meta-a': wire } })
      expect(put.status).toBe(200)
      expect((await lab.send('HEAD', 'a')).headers['x-cos-meta-a']).toBe(wire)
    }
  })

  test('a repeated parameter is refused: the one verified might not be the one used', async () => {
    const lab = await startLab()
    await lab.put('a')
    const reply = await lab.send('GET', 'a', {
      query: { 'response-content-type': 'a/b' },
      append: 'response-content-type=c/d',
    })
    expect([reply.status, element(reply, 'Code')]).toEqual([400, 'InvalidURI'])
    // Lists have names in lower case: the one added would stand in for the one changed.
    const query = { 'ci-process': 'GoodsMatting', 'padding-layout': '1x1' }
    const text = fields(lab, '/a', {}, query)
    const search = 'ci-process=GoodsMatting&padding-layout=1000x1000&Padding-Layout=1x1'
    expect((await sendRaw(lab.port, 'GET', `/a?${text}&${search}`)).status).toBe(400)
  })

  test('the vendor’s hole is here, too: who holds a URL may add what it does not list', async () => {
    const lab = await startLab()
    await lab.put('a', await photo())
    const url = `/a?${fields(lab, '/a')}`
    expect((await sendRaw(lab.port, 'GET', url)).headers['content-type']).toBe('application/octet-stream')
    expect((await sendRaw(lab.port, 'GET', `${url}&ci-process=GoodsMatting`)).headers['content-type']).toBe('image/png')
    expect(lab.bill()).toHaveLength(1)
    const listing = fields(lab, '/a', {}, { 'ci-process': 'GoodsMatting' })
    expect((await sendRaw(lab.port, 'GET', `/a?${listing}`)).status).toBe(403)
  })

  test('nothing secret is recorded', async () => {
    const lab = await startLab()
    lab.keys.set('TEMP', { secret: 'temporary', token: 'tok+en' })
    const host = `127.0.0.1:${lab.port}`
    const auth = authorization({ method: 'GET', path: '/a', headers: { host }, id: 'TEMP', secret: 'temporary' })
    await sendRaw(lab.port, 'GET', `/a?${auth}&x-cos-security-token=tok+en&prefix=b%20c`)
    await lab.send('GET', '', {
      query: { 'ci-process': 'GoodsMatting', 'detect-url': `http://me:pw@127.0.0.1:1/p?${auth}` },
    })
    const records = lab.requests()
    expect(records.map(({ operation, path, status }) => [operation, path, status])).toEqual([
      ['GetObject', '/a?prefix=b%20c', 404],
      ['GoodsMatting', `/?ci-process=GoodsMatting&detect-url=${encodeURIComponent('http://127.0.0.1:1/p')}`, 400],
    ])
    expect(JSON.stringify([records, lab.bill()])).not.toMatch(/q-|sign|tok|TEMP|pw/)
  })
})

test('the SDK’s encoding of keys is ours', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (key) => {
      const url = new COS({ SecretId: ID, SecretKey: SECRET }).getObjectUrl({
        Bucket: BUCKET,
        Region: REGION,
        Key: `k${key}`,
        Sign: false,
      })
      expect(url).toBe(`https://${BUCKET}.cos.${REGION}.myqcloud.com/${encodeKey(`k${key}`)}`)
    }),
  )
})
