import { createHash } from 'node:crypto'
import { lookup as dnsLookup } from 'node:dns'
import { get } from 'node:http'
import { getDefaultAutoSelectFamily, setDefaultAutoSelectFamily } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { MattingError } from '../lib/errors.ts'
import { isPublic, lookAt, readExternal } from '../lib/external.ts'
import { character } from './helpers/characters.ts'
import { divert } from './helpers/divert.ts'
import {
  failing,
  type Handler,
  HOSTS,
  IMAGE,
  internet,
  options,
  PUBLIC,
  pem,
  picture,
  resolver,
  see,
} from './helpers/internet.ts'

/** Spellings of this machine, of its networks and of other hosts: none of them is good.example. */
const refused: Record<string, string[]> = {
  'a user': [
    'http://user@good.example/',
    'http://user:password@good.example/',
    'http://good.example@evil.example/',
    'http://good.example:80@evil.example/',
    'http://good.example:pass@127.0.0.1/',
    'http://evil.example@good.example/',
    'http://@good.example/',
    'http://:@good.example/',
    'http://good.example%40evil.example/',
    'http://good.example&@evil.example/',
    'http://evil.example;@good.example/',
    'http://a@b@good.example/',
  ],
  'a port': [
    'http://good.example:80/',
    'https://good.example:443/',
    'http://good.example:8080/',
    'http://good.example:22/',
    'http://good.example:/',
    'http://good.example:0/',
    'http://good.example:65616/',
    'http://good.example:80:80/',
  ],
  'another scheme': [
    'javascript:alert(1)//good.example/',
    'javascript://good.example/%0aalert(1)',
    'file:///etc/passwd',
    'file://good.example/etc/passwd',
    'gopher://good.example/_GET',
    'data:image/png;base64,AAAA',
    'ftp://good.example/a.jpg',
    'ws://good.example/',
    'blob:http://good.example/1',
    'view-source:http://good.example/',
    'dict://good.example/',
    'ldap://good.example/',
    'httpſ://good.example/',
    'http+unix://good.example/',
    '//good.example/a.jpg',
    '/good.example/a.jpg',
    'good.example/a.jpg',
    'http:good.example/a.jpg',
    'http:/good.example/a.jpg',
    'http:///good.example/a.jpg',
    'http:////good.example/a.jpg',
    'http://',
    'http:///',
    '',
    'http',
    '://good.example/',
  ],
  'an IPv4 address': [
    'http://127.0.0.1/',
    'http://127.0.0.1',
    'http://0.0.0.0/',
    'http://10.0.0.1/',
    'http://192.168.0.1/',
    'http://172.16.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://169.254.0.23/latest/meta-data/cam/security-credentials/',
    'http://100.100.100.200/',
    'http://93.184.215.14/',
    'http://8.8.8.8/',
    'http://2130706433/',
    'http://2852039166/',
    'http://017700000001/',
    'http://0177.0.0.1/',
    'http://0177.0.0.01/',
    'http://0x7f000001/',
    'http://0x7F.0x0.0x0.0x1/',
    'http://0x7f.1/',
    'http://127.1/',
    'http://127.0.1/',
    'http://127.0x0.0.01/',
    'http://127.65530/',
    'http://0/',
    'http://0x/',
    'http://1/',
    'http://00000000000000000000177.0.0.1/',
    'http://4294967295/',
    'http://4294967297/',
    'http://256.0.0.1/',
    'http://127.0.0.1./',
    'http://127.0.0.0x1./',
  ],
  'an IPv6 address': [
    'http://[::1]/',
    'http://[::]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b:1::a9fe:a9fe]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:7f00:1::]/',
    'http://[fe80::1%25eth0]/',
    'http://[fe80::1%eth0]/',
    'http://[fd00:ec2::254]/',
    'http://[ff02::1]/',
    'http://[2606:2800:220:1:248:1893:25c8:1946]/',
    'http://::1/',
    'http://[good.example]/',
    'http://[::1',
  ],
  'look-alikes': [
    'http://１２７。０。０。１/',
    'http://①②⑦.⓪.⓪.①/',
    'http://127。0。0。1/',
    'http://127．0．0．1/',
    'http://①②⑦',
    'http://ｇｏｏｄ.example/',
    'http://good。example/',
    'http://good｡example/',
    'http://gооd.example/',
    'http://gοοd.example/',
    'http://ⓖⓞⓞⓓ.example/',
    'http://\u212as.example/',
    'http://k\u017f.example/',
    'http://good.exampıe/',
    'http://good\u00ad.example/',
    'http://good\u200b.example/',
    'http://good\u200d.example/',
    'http://xn--gd-emb.example/',
    'http://xn--a/',
    'http://good.example\u2044evil.example/',
    'http://good.example／evil.example/',
    'http://evil.example\uff03good.example/',
    'http://evil.example？good.example/',
    'http：//good.example/',
    'http:／／good.example/',
  ],
  'percent-encoding': [
    'http://%67ood.example/',
    'http://good%2eexample/',
    'http://%31%32%37.0.0.1/',
    'http://good.example%2f@evil.example/',
    'http://good.example%00.evil.example/',
    'http://good.example%23.evil.example/',
    'http://good.example%5c.evil.example/',
    'http%3A%2F%2Fgood.example%2Fa.jpg',
    'http%253A%252F%252Fgood.example%252Fa.jpg',
    'http:%2f%2fgood.example/',
    'http://good.example%252f/',
    'http://good.example%/',
  ],
  'a backslash': [
    'http:\\\\good.example\\',
    'http:/\\good.example/',
    'http://\\good.example/',
    'http://good.example\\@evil.example/',
    'http://good.example\\.evil.example/',
    'http://evil.example\\@good.example/',
    'http://evil.example\\good.example/',
    'http://good.example/a\\b',
    'http://good.example/?a\\b',
  ],
  'white space and control characters': [
    ' http://good.example/',
    'http://good.example/ ',
    'http://good.example /',
    'http:// good.example/',
    'ht\ttp://good.example/',
    'http\n://good.example/',
    'http:/\n/good.example/',
    'http://go\tod.example/',
    'http://good.exam\nple/',
    'http://good.example\r\n/',
    'http://good.example/\r\nHost: evil.example',
    'http://good.example/a b',
    'http://good.example/\t',
    'http://good.example/\u0000',
    'http://good.example\u0000.evil.example/',
    'http://good.example/\u007f',
    'http://good.example/\u0085',
    'http://good.example/\u00a0',
    'http://good.example/\u2028',
    'http://good.example/\u3000',
    '\ufeffhttp://good.example/',
    'http://good.example/#\n',
    'http://evil.example/\nhttp://good.example/',
    'http://evil.example\nhttp://good.example/',
  ],
  'another host': [
    'http://evil.example/',
    'http://good.example.evil.example/',
    'http://evilgood.example/',
    'http://good.examples/',
    'http://sub.good.example/',
    'http://good.example-evil.example/',
    'http://goodaexample/',
    'http://example/',
    'http://.good.example/',
    'http://good..example/',
    'http://good.example./',
    'http://good.example../',
    'http://-good.example/',
    'http://good_example/',
    'http://evil.example#good.example/',
    'http://evil.example?good.example/',
    'http://evil.example/good.example/',
    'http://evil.example#@good.example/',
    'http://evil.example?@good.example/',
    'http://evil.example/@good.example/',
    'http://good.example;evil.example/',
    'http://good.example,evil.example/',
    'http://good.example!.evil.example/',
    'http://good.example$/',
    'http://good.example*/',
    "http://good.example'/",
    'http://good.example"/',
    'http://good.example`/',
    'http://good.example|evil.example/',
    'http://good.example^/',
    'http://{good.example}/',
    'http://<good.example>/',
    'http://*/',
    'http://localhost/',
    'http://metadata.tencentyun.com/',
    'http://metadata/',
    'http://127.0.0.1.nip.io/',
    'http://0x7f.good.example/',
    `http://${'a'.repeat(300)}.good.example/`,
  ],
}
const spellings = Object.entries(refused).flatMap(([why, texts]) => texts.map((text) => [why, text] as const))

/** Somebody configures addresses as hosts; and one with letters that others fold to. */
const CARELESS = [
  ...[
    '127.0.0.1',
    '93.184.215.14',
    '8.8.8.8',
    '169.254.169.254',
    '2130706433',
    '0x7f000001',
    '127.1',
    '0',
    '0177.0.0.1',
  ],
  ...[
    '[::1]',
    '::1',
    '[::ffff:7f00:1]',
    '[2606:2800:220:1:248:1893:25c8:1946]',
    '1',
    '127.0.0.1.',
    'good.example.',
    'ks.example',
  ],
]

describe('a dangerous URL', () => {
  it.each(spellings)('with %s is refused before anybody is asked: %j', async (_, text) => {
    const { seen } = await internet(picture)
    for (const hosts of [HOSTS, [...HOSTS, ...CARELESS]]) {
      const lookup = resolver([PUBLIC])
      const refusal = { name: 'MattingError', code: expect.stringMatching(/^(host-refused|bad-request)$/) }
      expect(() => readExternal(text, hosts)).toThrow(expect.objectContaining(refusal))
      await expect(see(text, { hosts, lookup })).rejects.toMatchObject(refusal)
      expect(lookup.asked).toEqual([])
    }
    expect(seen).toEqual([])
  })

  it('is refused in more than 200 spellings, each of them another', () => {
    expect(new Set(spellings.map(([, text]) => text)).size).toBe(spellings.length)
    expect(spellings.length).toBeGreaterThan(200)
  })

  it.each([
    ['path', `http://good.example/${'a'.repeat(1981)}`],
    ['path in Chinese', `http://good.example/${'红'.repeat(221)}`],
    ['query', `http://good.example/?${'a'.repeat(1e6)}`],
    ['host', `http://${'a.'.repeat(1e6)}/`],
  ])('of such a length is refused: %s', (_, text) => {
    expect(() => readExternal(text, HOSTS)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('is malformed, or well-formed and not listed, and never told to anybody', () => {
    for (const [text, code] of [
      ['http://secret@good.example/', 'bad-request'],
      ['http://secret.example/', 'host-refused'],
      ['http://127.0.0.1/secret', 'host-refused'],
    ] as const) {
      const message = expect.not.stringContaining('secret')
      expect(() => readExternal(text, HOSTS)).toThrow(expect.objectContaining({ code, message, retryable: false }))
    }
  })

  it('would have been seen by the servers of this test', async () => {
    const { seen } = await internet(picture)
    for (const url of ['http://127.0.0.1/', 'http://10.9.8.7/']) {
      await new Promise((resolve) => get(url, { agent: false }, (response) => resolve(response.resume())))
    }
    expect(seen).toHaveLength(2)
  })

  it('that slipped through is read once more before it is asked', async () => {
    const { seen } = await internet(picture)
    for (const url of ['http://127.0.0.1/', 'http://evil.example/', 'http://good.example:8080/']) {
      await expect(lookAt(new URL(url), options({ hosts: [...HOSTS, '127.0.0.1'] }))).rejects.toThrow(MattingError)
    }
    expect(seen).toEqual([])
  })
})

describe('readExternal', () => {
  it.each([
    ['http://good.example/a.jpg', 'http://good.example/a.jpg'],
    ['https://img.good.example', 'https://img.good.example/'],
    ['HTTPS://Good.EXAMPLE/A.jpg', 'https://good.example/A.jpg'],
    ['http://good.example?a=1', 'http://good.example/?a=1'],
    ['http://good.example#x', 'http://good.example/'],
    ['http://good.example/a#@evil.example/', 'http://good.example/a'],
    ['http://good.example/a?u=http://evil.example/', 'http://good.example/a?u=http://evil.example/'],
    ['http://good.example/@evil.example:80/', 'http://good.example/@evil.example:80/'],
    ['http://good.example/a/../b/%2e%2e/c', 'http://good.example/c'],
    ['http://good.example/红.jpg', 'http://good.example/%E7%BA%A2.jpg'],
    ['http://good.example//evil.example/', 'http://good.example//evil.example/'],
    [`http://good.example/${'a'.repeat(1980)}`, `http://good.example/${'a'.repeat(1980)}`],
    [`http://good.example/#${'a'.repeat(2900)}`, 'http://good.example/'],
  ])('reads %s', (text, href) => {
    expect(readExternal(text, HOSTS).href).toBe(href)
  })

  it('takes every text for a plain URL of a listed host, or refuses it', () => {
    const piece = fc.oneof(
      fc.constantFrom(...spellings.map(([, text]) => text)),
      fc.constantFrom('http://', 'https://', 'good.example', 'evil.example', '127.0.0.1', '[::1]'),
      fc.constantFrom(...'@:/?#\\.%\t\n 红。', '//', '%2e', ':80', '@', 'user:pw@'),
      fc.string({ unit: character, maxLength: 5 }),
    )
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((path) => `http://good.example/${path}`),
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
      fc
        .tuple(fc.constantFrom('http://good.example', 'https://img.good.example'), piece, piece)
        .map((parts) => parts.join('')),
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc.string({ unit: character }),
    )
    let accepted = 0
    fc.assert(
      fc.property(text, (text) => {
        try {
          const url = readExternal(text, HOSTS)
          const { protocol, username, password, port, hash, hostname, href } = url
          expect({ username, password, port, hash }).toEqual({ username: '', password: '', port: '', hash: '' })
          expect(['http:', 'https:']).toContain(protocol)
          expect(HOSTS).toContain(hostname)
          expect(href).toMatch(/^https?:\/\/(img\.)?good\.example\/[\x21-\x7e]*$/)
          expect(readExternal(href, HOSTS).href).toBe(href)
          accepted++
        } catch (error) {
          if (!(error instanceof MattingError)) throw error
          expect(['host-refused', 'bad-request']).toContain(error.code)
        }
      }),
      { numRuns: 3_000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })
})

/** The first and the last address of each range, and the neighbours that are public. */
const PRIVATE = [
  ...[
    '0.0.0.0',
    '0.255.255.255',
    '10.0.0.0',
    '10.255.255.255',
    '100.64.0.0',
    '100.127.255.255',
    '127.0.0.0',
    '127.0.0.1',
  ],
  ...['127.255.255.255', '169.254.0.0', '169.254.169.254', '169.254.255.255', '172.16.0.0', '172.31.255.255'],
  ...['192.0.0.0', '192.0.0.255', '192.0.2.0', '192.0.2.255', '192.88.99.0', '192.88.99.255', '192.168.0.0'],
  ...['192.168.255.255', '198.18.0.0', '198.19.255.255', '198.51.100.0', '198.51.100.255', '203.0.113.0'],
  ...['203.0.113.255', '224.0.0.0', '239.255.255.255', '240.0.0.0', '255.255.255.255'],
  ...['::', '::1', '::127.0.0.1', '::93.184.215.14', '::ffff:127.0.0.1', '::ffff:93.184.215.14', '::ffff:a9fe:a9fe'],
  ...[
    '64:ff9b::7f00:1',
    '64:ff9b::93.184.215.14',
    '64:ff9b:1::1',
    '100::1',
    '1fff:ffff::',
    '2001::',
    '2001:0:7f00:1::',
  ],
  ...['2001:1ff:ffff::', '2001:10::1', '2001:20::1', '2001:db8::', '2001:db8:ffff::', '2002::', '2002:7f00:1::'],
  ...['2002:ffff:ffff::', '3fff::', '3fff:fff:ffff::', '4000::', '5f00::1', 'fc00::1', 'fd00:ec2::254', 'fe80::1'],
  ...['fe80::1%eth0', 'fec0::1', 'ff02::1', 'ff0e::1'],
]
const REACHABLE = [
  ...['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
  ...['169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0', '192.88.98.255'],
  ...['192.88.100.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '198.51.99.255'],
  ...['198.51.101.0', '203.0.112.255', '203.0.114.0', '223.255.255.255', PUBLIC],
  ...['2000::', '2001:200::', '2001:db7:ffff::', '2001:db9::', '2003::', '2606:2800:220:1:248:1893:25c8:1946'],
  ...['3ffe:ffff::', '3fff:1000::'],
]

describe('isPublic', () => {
  it.each(PRIVATE)('not %s', (address) => {
    expect(isPublic(address)).toBe(false)
  })

  it.each(REACHABLE)('%s', (address) => {
    expect(isPublic(address)).toBe(true)
  })

  it.each(['', 'localhost', '127.1', '2130706433', '0177.0.0.1', '8.8.8.8 ', '[2606::1]', '8.8.8.8:80', '8.8.8.8/8'])(
    'not %j, which is no address',
    (text) => {
      expect(isPublic(text)).toBe(false)
    },
  )
})

describe('a listed name', () => {
  it.each(['http', 'https'])(
    'over %s that leads to anything private is refused, and nothing is fetched',
    async (scheme) => {
      const { seen, handed } = await internet(picture)
      for (const address of PRIVATE) {
        for (const answer of [
          [address],
          [PUBLIC, address],
          [address, PUBLIC],
          [PUBLIC, '2606::1', address, '2606::2'],
        ]) {
          const looked = see(`${scheme}://good.example/a.jpg`, { lookup: resolver(answer) })
          await expect(looked, answer.join()).rejects.toMatchObject({ code: 'host-refused', status: 403 })
        }
      }
      expect([seen, handed]).toEqual([[], []])
    },
  )

  it('is looked up by dns.lookup as it stands', async () => {
    const { seen } = await internet(picture)
    const looked = see('http://localhost/', { hosts: ['localhost'], lookup: dnsLookup })
    await expect(looked).rejects.toMatchObject({ code: 'host-refused' })
    expect(seen).toEqual([])
  })

  it('that leads nowhere is refused or absent', async () => {
    const { seen } = await internet(picture)
    await expect(see('http://good.example/', { lookup: resolver([]) })).rejects.toMatchObject({ code: 'host-refused' })
    expect(await see('http://good.example/', { lookup: failing('ENOTFOUND') })).toBeUndefined()
    await expect(see('http://good.example/', { lookup: failing('EAI_AGAIN') })).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
      cause: { code: 'EAI_AGAIN' },
    })
    expect(seen).toEqual([])
  })

  it('is connected to by the very addresses that were checked: asked once, so it cannot lead elsewhere in between', async () => {
    const { seen, handed } = await internet(picture)
    const lookup = resolver([PUBLIC, '2606::1'], ['127.0.0.1'])
    expect(await see('http://good.example/', { lookup })).toBeDefined()
    expect(handed).toEqual([
      [
        { address: PUBLIC, family: 4 },
        { address: '2606::1', family: 6 },
      ],
    ])
    expect(lookup.asked).toEqual(['good.example'])
    // The second look asks again, and is refused.
    await expect(see('http://good.example/', { lookup })).rejects.toMatchObject({ code: 'host-refused' })
    expect(seen).toHaveLength(1)
  })

  it('is checked again for a redirect to itself', async () => {
    const { seen } = await internet((_, response) => void response.writeHead(302, { location: '/b' }).end())
    const lookup = resolver([PUBLIC], ['169.254.169.254'])
    await expect(see('http://good.example/', { lookup })).rejects.toMatchObject({ code: 'host-refused' })
    expect(seen.map(({ url }) => url)).toEqual(['http://good.example/'])
  })

  it('is guarded where Node asks for one address only, too', async () => {
    const standard = getDefaultAutoSelectFamily()
    setDefaultAutoSelectFamily(false)
    onTestFinished(() => setDefaultAutoSelectFamily(standard))
    const { seen, handed } = await internet(picture)
    const lookup = resolver([PUBLIC, '2606::1'], [PUBLIC, '10.0.0.1'], [])
    expect(await see('http://good.example/', { lookup })).toBeDefined()
    expect(handed).toEqual([PUBLIC])
    for (let i = 0; i < 2; i++) {
      await expect(see('http://good.example/', { lookup })).rejects.toMatchObject({ code: 'host-refused' })
    }
    expect(seen).toHaveLength(1)
  })
})

describe('a look', () => {
  it('asks once, for an uncompressed picture, and leaves when it knows enough', async () => {
    const { seen, open } = await internet((_, response) => {
      response.writeHead(200, { ...IMAGE, 'content-length': '900' }).write('x')
    })
    const found = await see('http://good.example/a%20b.jpg?c=1#d')
    const url = 'http://good.example/a%20b.jpg?c=1'
    const version = expect.stringMatching(/^[0-9a-f]{32}$/)
    const etag = expect.stringMatching(/^[0-9a-f]{64}$/)
    const key = expect.stringMatching(/^http:\/\/good\.example\/a%20b\.jpg\?[0-9a-f]{32}$/)
    expect(found).toEqual({ key, url, etag, size: 900, modified: 0, asked: { url, version } })
    expect(seen).toEqual([
      {
        url: 'http://good.example/a%20b.jpg?c=1',
        headers: { host: 'good.example', accept: 'image/*', 'accept-encoding': 'identity', connection: 'close' },
      },
    ])
    await expect.poll(open).toBe(0)
  })

  it.skipIf(!pem)('goes over https, and believes no certificate that nobody vouches for', async () => {
    const { seen } = await internet(picture)
    await expect(see('https://good.example/')).rejects.toMatchObject({ code: 'unavailable' })
    expect(seen).toEqual([])
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await see('https://good.example/')).toMatchObject({ url: 'https://good.example/', size: 4 })
  })

  /** Version of a picture with such headers, as it was named before 1.0. */
  async function version(headers: Record<string, string>, body = 'abcd', path = '/a') {
    await internet((_, response) => void response.writeHead(200, headers).end(body))
    const found = await see(`http://good.example${path}`)
    return found?.asked.version
  }
  const length = { 'content-length': '4' }
  const old = { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }
  const recent = { 'last-modified': 'Tue, 02 Jan 2024 00:00:00 GMT' }

  it.each<[what: string, same: boolean, a: Record<string, string>, b: Record<string, string>, body: string]>([
    ['ETag', true, { etag: '"1"', ...length, ...old }, { etag: '"1"', ...length, ...recent }, 'efgh'],
    ['ETag, without a length', true, { etag: '"1"' }, { etag: '"1"' }, 'efghi'],
    ['weak ETag', true, { etag: 'W/"1"', ...length }, { etag: 'W/"1"', ...length }, 'efgh'],
    ['other ETag', false, { etag: '"1"', ...length }, { etag: '"2"', ...length }, 'abcd'],
    ['date and length', true, { ...old, ...length }, { ...old, ...length }, 'efgh'],
    ['other date', false, { ...old, ...length }, { ...recent, ...length }, 'abcd'],
    ['other length', false, { ...old, ...length }, { ...old, 'content-length': '5' }, 'abcde'],
    ['date alone', false, old, old, 'efgh'],
    ['date alone', true, old, recent, 'abcd'],
    ['length alone', false, length, length, 'efgh'],
    ['length alone', true, length, length, 'abcd'],
    ['empty ETag', false, { etag: '', ...length }, { etag: '', ...length }, 'efgh'],
    ['nothing', true, {}, {}, 'abcd'],
    ['nothing', false, {}, {}, 'efgh'],
  ])('tells versions apart by what there is: %s, same: %s', async (_, same, a, b, body) => {
    expect((await version(a)) === (await version(b, body))).toBe(same)
  })

  it('hashes the bytes themselves where there are no validators', async () => {
    const sha256 = createHash('sha256').update('abcd').digest('hex')
    expect(await version({})).toBe(sha256.slice(0, 32))
    expect(await see('http://good.example/')).toMatchObject({ etag: sha256 })
  })

  it('tells resources apart that have the same validators, but for their signatures', async () => {
    const headers = { etag: '"1"', ...length }
    expect(await version(headers, 'abcd', '/a')).not.toBe(await version(headers, 'abcd', '/b'))
    expect(await version(headers, 'abcd', '/a?sign=1')).toBe(await version(headers, 'abcd', '/a?sign=2'))
  })

  it('takes just so many bytes, declared or counted', async () => {
    for (const headers of [{}, { etag: '"1"' }, { 'content-length': '1000' }, { ...IMAGE, 'content-length': '1000' }]) {
      await internet((_, response) => void response.writeHead(200, headers).end(Buffer.alloc(1000)))
      expect(await see('http://good.example/')).toMatchObject({ size: 1000 })
    }
  })

  it.each([
    ['declared', { 'content-length': '1001' }],
    ['declared, with an ETag', { ...IMAGE, 'content-length': '1001' }],
    ['declared, and very much', { 'content-length': '9'.repeat(15) }],
    ['chunked', {}],
    ['chunked, with an ETag', { etag: '"1"' }],
  ])('takes no more: %s and endless', async (_, headers) => {
    let sent = 0
    const { open } = await internet((_, response) => {
      response.writeHead(200, { 'content-type': 'image/png', ...headers })
      response.on('close', () => clearInterval(timer))
      const timer = setInterval(() => response.write(Buffer.alloc(100)) && sent++, 1)
    })
    await expect(see('http://good.example/')).rejects.toMatchObject({ code: 'too-large', status: 422 })
    await expect.poll(open).toBe(0)
    expect(sent).toBeLessThan(1_000)
  })

  it.each<[type: string | undefined, taken: boolean]>([
    ['image/jpeg', true],
    ['IMAGE/PNG', true],
    ['image/webp; q=1', true],
    ['application/octet-stream', true],
    ['binary/octet-stream; charset=x', true],
    [undefined, true],
    ['', true],
    ['text/html', false],
    ['text/html; image/png', false],
    ['application/json', false],
    ['application/octet-stream-x', false],
    ['application/image/png', false],
    ['video/mp4', false],
    ['image', false],
  ])('of type %s: %s', async (type, taken) => {
    const { open } = await internet((_, response) => {
      response.writeHead(200, {
        etag: '"1"',
        'content-length': '4',
        ...(type !== undefined && { 'content-type': type }),
      })
      response.write('ab')
    })
    const looked = see('http://good.example/')
    if (taken) expect(await looked).toMatchObject({ size: 4 })
    else await expect(looked).rejects.toMatchObject({ code: 'not-an-image' })
    await expect.poll(open).toBe(0)
  })

  it.each([400, 401, 403, 404, 410, 416, 451, 204, 206, 300, 304])('answered %i finds nothing', async (status) => {
    const { seen, open } = await internet(
      (_, response) => void response.writeHead(status, { ...IMAGE, location: '/b' }).end(),
    )
    expect(await see('http://good.example/')).toBeUndefined()
    expect(seen).toHaveLength(1)
    await expect.poll(open).toBe(0)
  })

  it.each<[what: string, answer: Handler]>([
    ['500', (_, response) => void response.writeHead(500, IMAGE).end()],
    ['503', (_, response) => void response.writeHead(503, IMAGE).end()],
    ['a reset', (request) => void request.socket.resetAndDestroy()],
    ['no answer', (request) => void request.socket.end()],
    ['no HTTP', (request) => void request.socket.end('220 smtp.example ESMTP\r\n')],
    [
      'two lengths',
      (request) => void request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
    ],
    ['too many headers', (_, response) => void response.writeHead(200, { ...IMAGE, 'x-a': 'a'.repeat(2e4) }).end()],
    ['half an answer', (request) => void request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab')],
    [
      'half a chunked answer',
      (request) => void request.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n'),
    ],
  ])('met with %s says to try again, and keeps the cause', async (_, answer) => {
    const { seen, open } = await internet(answer)
    await expect(see('http://good.example/')).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
      cause: expect.any(Error),
    })
    expect(seen).toHaveLength(1)
    await expect.poll(open).toBe(0)
  })

  it.each<[what: string, answer: Handler]>([
    ['nobody answers', () => {}],
    ['the headers never end', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nX: ')],
    ['the picture never ends', (_, response) => void response.writeHead(200, { 'content-length': '9' }).write('x')],
    [
      'redirects are slow',
      (_, response) => void setTimeout(() => response.writeHead(302, { location: '/' }).end(), 150),
    ],
  ])('ends by itself when %s, by its own time or by the deadline', async (_, answer) => {
    const { open } = await internet(answer)
    const unavailable = { code: 'unavailable', cause: expect.any(Error) }
    await expect(see('http://good.example/', { timeout: 300 })).rejects.toMatchObject(unavailable)
    await expect(see('http://good.example/', { now: () => 1_000, deadline: 1_300 })).rejects.toMatchObject(unavailable)
    await expect.poll(open).toBe(0)
  })

  it('ends when the resolver does not answer, when nobody listens, and when there is no time at all', async () => {
    const { seen } = await internet(picture)
    expect(await see('http://good.example/', { timeout: 9_000.5 })).toBeDefined()
    const silent = see('http://good.example/', { lookup: () => {}, timeout: 200 })
    await expect(silent).rejects.toMatchObject({ code: 'unavailable' })
    await expect(see('http://good.example/', { lookup: () => {}, deadline: 0 })).rejects.toMatchObject({
      code: 'unavailable',
      cause: { name: 'AbortError' },
    })
    expect(seen).toHaveLength(1)
    divert({ 80: 1 })
    await expect(see('http://good.example/')).rejects.toMatchObject({
      code: 'unavailable',
      cause: { code: 'ECONNREFUSED' },
    })
  })
})

describe('a redirect', () => {
  /** The first request is sent there, any other gets the picture. */
  const once =
    (location: string, status = 302): Handler =>
    (request, response) =>
      request.url === '/start/a'
        ? void response.writeHead(status, { location, ...IMAGE }).end('abcd')
        : picture(request, response)

  it.each([
    ['/b', 'http://good.example/b'],
    ['b?c#d', 'http://good.example/start/b?c'],
    ['../b', 'http://good.example/b'],
    ['?b', 'http://good.example/start/a?b'],
    ['//img.good.example/b', 'http://img.good.example/b'],
    ['http://good.example:80/b', 'http://good.example/b'],
    ['HTTP://IMG.good.example/b', 'http://img.good.example/b'],
  ])('to %s is followed', async (location, url) => {
    const { seen } = await internet(once(location))
    expect(await see('http://good.example/start/a')).toMatchObject({ url, size: 4 })
    expect(seen.map(({ url }) => url)).toEqual(['http://good.example/start/a', url])
  })

  it.each([301, 302, 303, 307, 308])('%i is followed', async (status) => {
    await internet(once('/b', status))
    expect(await see('http://good.example/start/a')).toMatchObject({ url: 'http://good.example/b' })
  })

  it.each([
    ...[
      'http://evil.example/',
      '//evil.example/',
      '\\\\evil.example\\',
      'http://sub.good.example/',
      'http://good.example./',
    ],
    ...['http://127.0.0.1/', 'http://169.254.169.254/', 'http://2130706433/', '//0x7f.1/', 'http://127.1/', '//0/'],
    ...[
      'http://[::1]/',
      'http://[::ffff:7f00:1]/',
      'http://93.184.215.14/',
      '//localhost/',
      '//good.example@evil.example',
    ],
    ...['http://user@good.example/', 'http://good.example:8080/', 'https://good.example:80/', 'ftp://good.example/'],
    ...[
      'file:///etc/passwd',
      'javascript:alert(1)',
      'data:image/png,a',
      'gopher://good.example/',
      'http://',
      'http://[',
    ],
    ...['/\\evil.example/', '/\t/evil.example/', `/${'a'.repeat(2000)}`],
  ])('to %s is refused', async (location) => {
    const { seen, open } = await internet(once(location))
    const lookup = resolver([PUBLIC])
    const looked = see('http://good.example/start/a', { lookup, hosts: [...HOSTS, ...CARELESS] })
    await expect(looked).rejects.toMatchObject({ code: 'host-refused', message: expect.not.stringContaining('/') })
    expect(seen.map(({ url }) => url)).toEqual(['http://good.example/start/a'])
    expect(lookup.asked).toEqual(['good.example'])
    await expect.poll(open).toBe(0)
  })

  it.skipIf(!pem)('from http to https is followed, from https to http refused', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    await internet(once('https://good.example/b'))
    expect(await see('http://good.example/start/a')).toMatchObject({ url: 'https://good.example/b' })
    expect(await see('https://good.example/start/a')).toMatchObject({ url: 'https://good.example/b' })
    const { seen } = await internet(once('http://good.example/b'))
    await expect(see('https://good.example/start/a')).rejects.toMatchObject({ code: 'host-refused' })
    expect(seen).toHaveLength(1)
  })

  it('without a place to go finds nothing', async () => {
    const { seen } = await internet((_, response) => void response.writeHead(302, IMAGE).end())
    expect(await see('http://good.example/')).toBeUndefined()
    expect(seen).toHaveLength(1)
  })

  it('is followed three times, and not in circles', async () => {
    const countdown: Handler = (request, response) => {
      const left = Number(request.url?.slice(1))
      if (left === 0) picture(request, response)
      else response.writeHead(302, { location: `/${left - 1}` }).end()
    }
    const { seen, open } = await internet(countdown)
    expect(await see('http://good.example/3')).toMatchObject({ url: 'http://good.example/0' })
    expect(seen).toHaveLength(4)
    expect(await see('http://good.example/4')).toBeUndefined()
    expect(seen).toHaveLength(8)
    const circle = await internet((_, response) => void response.writeHead(302, { location: '/' }).end())
    expect(await see('http://good.example/')).toBeUndefined()
    expect(circle.seen).toHaveLength(4)
    await expect.poll(() => open() + circle.open()).toBe(0)
  })
})
