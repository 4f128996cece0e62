import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { type Environment, readConfig } from '../lib/config.ts'
import { createSettings } from '../lib/environment.ts'
import { presign, signingKey } from '../lib/sign.ts'
import { readServerless } from '../local/scf/serverless.ts'
import { WAYS, type Way } from '../local/scf/variables.ts'
import { photo, startForTest } from './helpers/cloud.ts'

const place = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }
const role = (name: string) => ({
  TENCENTCLOUD_SECRETID: `${name}-id`,
  TENCENTCLOUD_SECRETKEY: `${name}-key`,
  TENCENTCLOUD_SESSIONTOKEN: `${name}-token+/==`,
})

/** As the vendor's older bootstrap does it (scfcli, runtime/nodejs8.9/bootstrap.js). */
function cut(variables: Environment): { environ: string; process: Environment } {
  const environ = Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join(';')
  const pairs = environ.split(';').filter((pair) => pair !== '')
  return { environ, process: Object.fromEntries(pairs.map((pair) => pair.split('=', 2))) }
}

/** Any value, in the spelling for hard ones. */
const encoded = (value: string) => `encoded(${value.replace(/[%;=]/g, encodeURIComponent)})`

describe('settings', () => {
  const settings = (process: Environment, context: unknown) => createSettings(process)(context)
  const ttl = (process: Environment, context: unknown) =>
    settings({ ...place, ...role('process'), REDIRECT_TTL: '1', ...process }, context).config.redirectTtl

  it.each<[string, unknown, number]>([
    ['none', {}, 1],
    ['JSON text', { environment: '{"REDIRECT_TTL":"2"}' }, 2],
    ['an object', { environment: { REDIRECT_TTL: '2' } }, 2],
    ['a part of it', { environment: '{"SCF_NAMESPACE":"default"}' }, 1],
    ['a value that is no text', { environment: '{"REDIRECT_TTL":2,"URL_WINDOW":null}' }, 1],
    ['no JSON', { environment: '{"REDIRECT_TTL":"2"' }, 1],
    ['a list', { environment: '["REDIRECT_TTL"]' }, 1],
    ['text in JSON', { environment: '"REDIRECT_TTL"' }, 1],
    ['null', { environment: 'null' }, 1],
    ['a name of JavaScript’s own', { environment: '{"__proto__":{"REDIRECT_TTL":"2"}}' }, 1],
    ['the older text, which loses what stands behind a `;`', { environ: 'REDIRECT_TTL=2;PRESETS=plain=' }, 1],
    ['no context', undefined, 1],
  ])('of the process, and over it those of the context: %s', (_, context, expected) => {
    expect(ttl({}, context)).toBe(expected)
  })

  it('that cannot be written as JSON are none', () => {
    const environment: Record<string, unknown> = { REDIRECT_TTL: '2' }
    environment.itself = environment
    expect(ttl({}, { environment })).toBe(1)
  })

  it('are read again when a variable has changed, wherever it stands, and only then', () => {
    const process: Record<string, string> = { ...place, ...role('process') }
    const read = createSettings(process)
    const of = (environment: object) => read({ environment: JSON.stringify(environment) }).config
    const first = of({ REDIRECT_TTL: '2', ...role('a') })
    expect(of({ REDIRECT_TTL: '2', ...role('b'), TRIGGER_SRC: 'cos' })).toBe(first)
    expect(of({ REDIRECT_TTL: '3', ...role('b') })).toMatchObject({ redirectTtl: 3 })
    expect(() => of({ REDIRECT_TTL: 'soon' })).toThrow('REDIRECT_TTL')
    expect(() => of({ REDIRECT_TTL: 'soon' })).toThrow('REDIRECT_TTL')
    expect(of({ REDIRECT_TTL: '4' })).toMatchObject({ redirectTtl: 4 })
    expect(of({})).toMatchObject({ redirectTtl: 300 })
    process.REDIRECT_TTL = '5'
    expect(read({ environ: 'REDIRECT_TTL=5' }).config).toMatchObject({ redirectTtl: 5 })
    const environment = { REDIRECT_TTL: '6' }
    expect(read({ environment }).config).toMatchObject({ redirectTtl: 6 })
    environment.REDIRECT_TTL = '7'
    expect(read({ environment }).config).toMatchObject({ redirectTtl: 7 })
  })

  it('have the credentials of this invocation, all of them from one place, and whole', () => {
    const process: Record<string, string> = { ...place, ...role('process') }
    const read = createSettings(process)
    const of = (context: unknown) => Object.values(read(context).credentials)
    expect(of({})).toEqual(Object.values(role('process')))
    expect(of({ environment: JSON.stringify(role('a')) })).toEqual(Object.values(role('a')))
    expect(of({ environment: JSON.stringify(role('b')), environ: cut(role('c')).environ })).toEqual(
      Object.values(role('b')),
    )
    const { TENCENTCLOUD_SESSIONTOKEN: _, ...permanent } = role('d')
    expect(of({ environment: JSON.stringify(permanent) })).toEqual(Object.values(permanent))
    expect(of({ environment: '{"TENCENTCLOUD_SECRETID":"half"}' })).toEqual(Object.values(role('process')))
    Object.assign(process, role('rotated'))
    expect(of({})).toEqual(Object.values(role('rotated')))
    const older = cut({ SCF_NAMESPACE: 'default', ...role('e') })
    expect(createSettings({ ...place, ...older.process })({ environ: older.environ }).credentials).toEqual({
      secretId: 'e-id',
      secretKey: 'e-key',
      token: 'e-token+/==',
    })
  })
})

describe('a runtime that cuts the environment at `;` and `=`', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
  const secret = fc.stringMatching(/^[!-+\--~]{16,40}$/)
  const layout = fc.record({
    words: fc.uniqueArray(
      fc.oneof(
        fc.constantFrom('center-layout=0', 'center-layout=1', 'on-pending=retry', 'on-failure=error'),
        fc.tuple(fc.nat(1000), fc.nat(1000)).map(([dx, dy]) => `padding-layout=${dx}x${dy}`),
      ),
      { selector: (text) => text.split('=')[0] ?? '' },
    ),
  })
  const presets = fc.uniqueArray(fc.tuple(word, layout), { minLength: 1, maxLength: 4, selector: ([name]) => name })
  const folders = fc.uniqueArray(fc.stringMatching(/^[^/*;=,\s][^/*;=,]{0,8}[^/*;=,\s.]$/), {
    minLength: 1,
    maxLength: 3,
  })
  const query = fc.webQueryParameters()
  const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 })

  it('changes nothing: each variable has a spelling that survives, and means what the older one meant', () => {
    fc.assert(
      fc.property(presets, folders, secret, secret, query, bytes, (presets, folders, key, other, query, bytes) => {
        const named = presets.filter(([name]) => name !== 'plain')
        const names = ['plain', ...named.map(([name]) => name)]
        const secrets = {
          EVENTS_SECRET: `whsec_${Buffer.from(bytes).toString('base64')}`,
          EVENTS_URL: `https://shop.example/hook?token=a%3Db;c==&${query}`,
          DELIVERY_KEY: `local-delivery:${key}`,
          URL_KEYS: `one:${key}, two:${other}`,
        }
        const sources = { ...place, ACCESS: 'signed', SOURCE_PREFIXES: folders.map((name) => `${name}/`).join(', ') }
        const before = readConfig({
          ...sources,
          ...secrets,
          PRESETS: ['plain=', ...named.map(([name, { words }]) => `${name}=${words.join('&')}`)].join('; '),
          ON_UPLOAD: folders.map((name) => `${name}/=${names.join(',')}`).join('; '),
        })
        const spelt = {
          ...sources,
          ...Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, encoded(value)])),
          PRESETS: [
            'plain:',
            ...named.map(([name, { words }]) => `${name}: ${words.join(', ').replaceAll('=', ' ')}`),
          ].join(', '),
          ON_UPLOAD: folders.map((name) => `${name}/: ${names.join(', ')}`).join(', '),
          ...role('now'),
        }
        const { process, environ } = cut(spelt)
        const settings = createSettings(process)({ environ })
        expect(settings.config).toEqual(before)
        // URLs have nothing of their own that could be compared.
        expect(settings.config.eventsUrl?.href).toBe(before.eventsUrl?.href)
        expect(settings.credentials.token).toBe('now-token+/==')
        // What was cut is never half obeyed.
        expect(() => readConfig(cut({ ...spelt, PRESETS: 'plain=; card=center-layout=1' }).process)).toThrow('PRESETS')
        expect(() => readConfig(cut({ ...spelt, ON_UPLOAD: `${folders[0]}/=plain` }).process)).toThrow('ON_UPLOAD')
      }),
      { numRuns: 50 },
    )
  })

  it('leaves what serverless.yml and .env.example ship as it is', async () => {
    const example = parseEnv(await readFile(new URL('../.env.example', import.meta.url), 'utf8'))
    const variables = { SOURCE_PREFIXES: 'uploads/', ...example } as Record<string, string>
    const { functions } = await readServerless(new URL('../serverless.yml', import.meta.url), variables)
    for (const { environment } of functions) expect(cut(environment).process).toEqual(environment)
  })
})

describe('both functions, with every variable set and values that are hard to hand over', () => {
  const secret = 's;e=c%r;e=t-with==%3D'
  const delivery = { secretId: 'local-hard', secretKey: 'ha;rd=er%3B==' }
  const eventsSecret = `whsec_${Buffer.alloc(25, 'local-secret').toString('base64')}`

  async function start(variables: Way, spell: (value: string) => string) {
    const told: { url: string | undefined; verified: unknown }[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request.setEncoding('utf8')) body += chunk
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      told.push({ url: request.url, verified: new Webhook(eventsSecret).verify(body, headers) })
      response.writeHead(204).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close().closeAllConnections())
    const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=a%3Db;c=d==&e=1`
    const environment = {
      SOURCE_PREFIXES: 'uploads/, more/',
      CUTOUT_PREFIX: 'made/',
      CUTOUT_BUCKET: 'cutouts-1250000000',
      PRESETS:
        'card: center-layout 1, padding-layout 20x10, on-pending retry, wide: padding-layout 30x0, small: width 40|80, format auto',
      AVIF: 'on',
      ON_UPLOAD: 'more/: plain, uploads/: card, wide',
      ON_DELETE: 'remove',
      EVENTS_URL: spell(hook),
      EVENTS_SECRET: spell(eventsSecret),
      EVENTS: 'cutout.created, cutout.deferred',
      DELIVERY: 'stored',
      DELIVERY_KEY: spell(`${delivery.secretId}:${delivery.secretKey}`),
      ACCESS: 'signed',
      URL_KEYS: spell(`shop:${secret}, next:fedcba9876543210`),
      DETECT_HOSTS: 'pictures.example',
      ON_PENDING: 'wait',
      ON_FAILURE: 'original',
      REDIRECT_TTL: '120',
      URL_WINDOW: '600',
      DAILY_LIMIT: '10',
      MAX_SOURCE_BYTES: '1000000',
      CLAIM_TIME: '7',
    }
    return { cloud: await startForTest({ variables, environment }), told, hook, environment }
  }

  it.each(WAYS.map((way) => [way]))('do what it says when it is handed over by %s', async (way) => {
    const { cloud, told, hook, environment } = await start(way, encoded)
    const read = new Set<string>()
    const get = (env: Environment, name: string | symbol) => {
      read.add(String(name))
      return env[String(name)]
    }
    readConfig(new Proxy<Environment>(place, { get }))
    // With DELIVERY_URL nothing would be signed by DELIVERY_KEY; the others are set by the local cloud.
    const left = ['COS_BUCKET', 'COS_REGION', 'COS_ENDPOINT', 'CUTOUT_ENDPOINT', 'DELIVERY_URL']
    expect([...Object.keys(environment), ...left].sort()).toEqual([...read].sort())

    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok'])
    const fileids = cloud.cos.bill().map(({ fileid }) => fileid)
    expect(fileids).toEqual([
      expect.stringMatching(/^made\/uploads\/mug\.jpg\/\w+-c1-p20x10\.png$/),
      expect.stringMatching(/^made\/uploads\/mug\.jpg\/\w+-p30x0\.png$/),
    ])
    expect(told).toMatchObject([
      { url: new URL(hook).pathname + new URL(hook).search, verified: { type: 'cutout.created' } },
      { verified: { type: 'cutout.created' } },
    ])

    const grant = { layout: 'card', key: 'uploads/mug.jpg', expires: Math.floor(Date.now() / 1000) + 3600 }
    const { pathname, search } = new URL(imageUrl(cloud.imageUrl, grant, 'shop', secret))
    const { status, headers } = await cloud.image(pathname + search)
    expect([status, headers['x-matting']]).toEqual([302, 'hit'])
    // Of 120 seconds, those are gone in which the instance has known it; of the default's 300, most would be left.
    expect(Number(/max-age=(\d+)/.exec(headers['cache-control'] ?? '')?.[1])).toBeLessThanOrEqual(120)
    const location = new URL(headers.location ?? '')
    const [begin = 0, end = 0] = (location.searchParams.get('q-sign-time') ?? '').split(';').map(Number)
    const signed = { method: 'GET', pathname: `/${fileids[0]}`, headers: { host: location.host } }
    expect(location.href).toBe(presign(location.origin, signed, signingKey(delivery, begin, end)))
    expect(cloud.cos.bill()).toHaveLength(2)

    const small = new URL(imageUrl(cloud.imageUrl, { ...grant, layout: 'small,width=80' }, 'shop', secret))
    const shown = await cloud.image(small.pathname + small.search, { headers: { accept: 'image/avif' } })
    expect(shown.headers.location).toContain('?imageMogr2%2Fthumbnail%2F80x%2Fformat%2Favif%2Fquality%2F80=&')
    expect(cloud.cos.bill()).toHaveLength(3)
  })

  it('say what is wrong, and do nothing, when values were cut that are spelt as ever', async () => {
    const { cloud } = await start('split', (value) => value)
    const { status, body } = await cloud.image('/healthz')
    expect([status, JSON.parse(body).code]).toEqual([500, 'misconfigured'])
    expect(body).toMatch(/URL_KEYS: expected .*EVENTS_SECRET: expected /)
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.cos.bill()).toEqual([])
  })
})
