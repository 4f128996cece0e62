import { describe, expect, it } from 'vitest'
import { readConfig, readCredentials } from '../lib/config.ts'

const required = { COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou' }

function problems(env: Record<string, string>): string {
  try {
    readConfig(env)
    return ''
  } catch (error) {
    expect(error).toMatchObject({ code: 'misconfigured', retryable: false })
    return String(Object(error).message)
  }
}

describe('readConfig', () => {
  it('needs a bucket and a region, and has a default for the rest', () => {
    expect(readConfig(required)).toMatchObject({
      bucket: 'photos-1250000000',
      endpoint: 'https://photos-1250000000.cos.ap-guangzhou.myqcloud.com',
      sourcePrefixes: ['uploads/'],
      cutoutPrefix: 'cutouts/',
      presets: new Map([['plain', { layout: { center: false, dx: 0, dy: 0 } }]]),
      onUpload: [['uploads/', [{ center: false, dx: 0, dy: 0 }]]],
      access: 'presets',
      delivery: 'stored',
      deliveryUrl: undefined,
      deliveryKey: undefined,
      urlKeys: new Map(),
      detectHosts: [],
      onPending: 'wait',
      onFailure: 'error',
      dailyLimit: Number.POSITIVE_INFINITY,
      redirectTtl: 300,
      urlWindow: 900,
      maxSourceBytes: 32 * 1024 * 1024,
    })
  })

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ ...required, REDIRECT_TTL: '', DELIVERY_URL: ' ', DAILY_LIMIT: '' })).toEqual(
      readConfig(required),
    )
  })

  it('has the plain layout whatever PRESETS says', () => {
    expect(readConfig({ ...required, PRESETS: 'card=center-layout=1' }).presets.has('plain')).toBe(true)
  })

  it('tells all mistakes at once, by name', () => {
    const text = problems({ COS_BUCKET: 'photos', REDIRECT_TTL: 'soon', ACCESS: 'all', PRESETS: 'card=shape=round' })
    const named = text.split('\n').map((line) => line.split(':')[0])
    expect(named).toEqual(['COS_BUCKET', 'COS_REGION', 'PRESETS', 'ACCESS', 'REDIRECT_TTL'])
    expect(text).toContain('COS_BUCKET: expected name-appid')
  })

  it.each([
    ['COS_ENDPOINT', 'http://127.0.0.1:4510/path'],
    ['COS_ENDPOINT', 'ftp://127.0.0.1'],
    ['COS_REGION', 'gz'],
    ['SOURCE_PREFIXES', 'uploads'],
    ['SOURCE_PREFIXES', '/uploads/'],
    ['CUTOUT_PREFIX', 'cutouts'],
    ['CUTOUT_PREFIX', 'cut/../uploads/'],
    ['CUTOUT_PREFIX', 'a//b/'],
    ['SOURCE_PREFIXES', 'uploads/../cutouts/'],
    ['SOURCE_PREFIXES', 'a//b/'],
    ['SOURCE_PREFIXES', 'a*/'],
    ['CUTOUT_BUCKET', 'other'],
    ['CUTOUT_BUCKET', 'other-9999999999'],
    ['CUTOUT_ENDPOINT', 'example.com'],
    ['ON_DELETE', 'yes'],
    ['EVENTS', 'cutout.made'],
    ['EVENTS', ','],
    ['EVENTS_URL', 'ftp://example.com'],
    ['EVENTS_URL', 'https://user:word@example.com/'],
    ['EVENTS_SECRET', 'whsec_short'],
    ['ON_UPLOAD', 'uploads/='],
    ['CLAIM_TIME', '5'],
    ['DAILY_LIMIT', 'many'],
    ['REDIRECT_TTL', '86401'],
    ['PRESETS', 'plain=center-layout=1'],
    ['PRESETS', 'a=;a='],
    ['PRESETS', 'Card='],
    ['PRESETS', 'card'],
    ['ON_UPLOAD', 'uploads/=nope'],
    ['ON_UPLOAD', 'uploads=plain'],
    ['ON_UPLOAD', 'other/=plain'],
    ['DELIVERY_URL', 'cdn.example.com'],
    ['REDIRECT_TTL', '-1'],
    ['URL_WINDOW', '59'],
    ['DELIVERY', 'both'],
    ['DELIVERY_KEY', 'AKID'],
    ['ACCESS', 'signed'],
    ['URL_KEYS', 'a:short'],
    ['URL_KEYS', 'a:0123456789abcdef,a:0123456789abcdef'],
    ['URL_KEYS', 'a b:0123456789abcdef'],
    ['DETECT_HOSTS', 'pictures.example.com'],
    ['DETECT_HOSTS', 'Pictures.example.com'],
    ['DETECT_HOSTS', '*.example.com'],
    ['DETECT_HOSTS', 'pictures.example.com:8080'],
    ['DETECT_HOSTS', '127.0.0.1'],
    ['DETECT_HOSTS', 'localhost'],
    ['ON_PENDING', 'original'],
    ['ON_PENDING', 'later'],
    ['ON_FAILURE', 'original'],
    ['ON_FAILURE', 'wait'],
    ['PRESETS', 'card=on-failure=error&on-failure=error'],
    ['PRESETS', 'card=on-failure'],
    ['PRESETS', 'card=on-pending=never'],
    ['PRESETS', 'card: center-layout=1'],
    ['PRESETS', 'card: center-layout 1; thumb:'],
    ['PRESETS', 'card:, card:'],
    ['PRESETS', 'card: center-layout 1, center-layout 0'],
    ['PRESETS', 'card: center-layout 1 padding-layout 20x10'],
    ['PRESETS', 'center-layout 1, card:'],
    ['PRESETS', ': center-layout 1'],
    ['PRESETS', 'plain: center-layout 1'],
    ['PRESETS', 'plain'],
    ['PRESETS', ','],
    ['ON_UPLOAD', 'uploads/'],
    ['ON_UPLOAD', 'uploads/:'],
    ['ON_UPLOAD', 'uploads/ plain'],
    ['ON_UPLOAD', 'uploads/: nope'],
    ['ON_UPLOAD', 'uploads/: plain plain'],
    ['ON_UPLOAD', 'uploads: plain'],
    ['ON_UPLOAD', 'plain, uploads/: plain'],
    ['URL_KEYS', 'encoded(a:0123456789abcdef%)'],
    ['REDIRECT_TTL', 'encoded()'],
    ['MAX_SOURCE_BYTES', '0'],
    ['MAX_SOURCE_BYTES', '1e6'],
  ])('refuses %s=%s', (name, value) => {
    expect(problems({ ...required, [name]: value })).toContain(name)
  })

  it.each([
    ['uploads/', 'uploads/'],
    ['uploads/', 'uploads/cutouts/'],
    ['uploads/cut/', 'uploads/'],
    ['a/,uploads/', 'uploads/cutouts/'],
  ])('promise 2: refuses source %s with cutouts in %s, naming both', (source, cutout) => {
    const text = problems({ ...required, SOURCE_PREFIXES: source, CUTOUT_PREFIX: cutout })
    expect(text).toMatch(/CUTOUT_PREFIX \S+ and SOURCE_PREFIXES \S+ overlap/)
  })

  it('names an overlap beside other mistakes', () => {
    const text = problems({ ...required, CUTOUT_PREFIX: 'uploads/', REDIRECT_TTL: 'soon', ON_UPLOAD: 'uploads/=nope' })
    for (const name of ['CUTOUT_PREFIX', 'REDIRECT_TTL', 'ON_UPLOAD']) expect(text).toContain(name)
  })

  it('refuses its own records as sources', () => {
    expect(problems({ ...required, SOURCE_PREFIXES: '.matting/claims/' })).toContain('.matting/')
  })

  it('refuses what would let strangers spend, or a limit that cannot hold', () => {
    const key = { ...required, DELIVERY_KEY: 'local-id:local-secret' }
    expect(problems({ ...required, ON_FAILURE: 'original' })).toContain('needs DELIVERY_URL or DELIVERY_KEY')
    expect(readConfig({ ...key, ON_FAILURE: 'original' })).toMatchObject({
      onFailure: 'original',
      deliveryKey: { secretId: 'local-id', secretKey: 'local-secret' },
    })
    for (const fallback of ['on-failure', 'on-pending'])
      expect(problems({ ...required, PRESETS: `card=${fallback}=original` })).toContain(
        'needs DELIVERY_URL or DELIVERY_KEY',
      )
    expect(problems({ ...required, DELIVERY: 'direct' })).toContain('DELIVERY=direct: needs ACCESS=signed')
    const hosts = { ...required, DETECT_HOSTS: 'a.example.com, b.example.com' }
    expect(problems(hosts)).toContain('needs ACCESS=signed')
    const signed = { ...hosts, ACCESS: 'signed', URL_KEYS: 'a:0123456789abcdef, b:fedcba9876543210' }
    expect(readConfig(signed)).toMatchObject({
      detectHosts: ['a.example.com', 'b.example.com'],
      urlKeys: new Map([
        ['a', '0123456789abcdef'],
        ['b', 'fedcba9876543210'],
      ]),
    })
    expect(problems({ ...required, DELIVERY: 'direct', DAILY_LIMIT: '9' })).toContain('DAILY_LIMIT')
  })

  it('reads what a preset says of waiting and failing', () => {
    const PRESETS =
      'card=on-pending=retry&center-layout=1&on-failure=original&padding-layout=20x10; thumb=on-pending=wait'
    const { presets } = readConfig({ ...required, DELIVERY_URL: 'https://cdn.example.com', PRESETS })
    expect(presets.get('card')).toEqual({
      layout: { center: true, dx: 20, dy: 10 },
      onPending: 'retry',
      onFailure: 'original',
    })
    expect(presets.get('thumb')).toEqual({ layout: { center: false, dx: 0, dy: 0 }, onPending: 'wait' })
  })

  it('keeps secrets out of what it says', () => {
    const text = problems({ ...required, URL_KEYS: 'a:a-secret', DELIVERY_KEY: 'a secret' })
    expect(text).toMatch(/DELIVERY_KEY.*\n.*URL_KEYS/)
    expect(text).not.toMatch(/a.secret/)
  })

  it('has two spellings of presets and folders, which mean the same', () => {
    const older = {
      PRESETS: 'plain=; card=center-layout=1&padding-layout=20x10&on-pending=retry; a=padding-layout=5x0',
      ON_UPLOAD: 'a:b/=plain; a:b/my shoes/=plain,card',
    }
    const newer = {
      PRESETS: 'plain:, card: center-layout 1, padding-layout  20x10, on-pending retry,a:padding-layout 5x0,',
      ON_UPLOAD: 'a:b/: plain, a:b/my shoes/ : plain,card',
    }
    const sources = { ...required, SOURCE_PREFIXES: 'a:b/' }
    expect(readConfig({ ...sources, ...newer })).toEqual(readConfig({ ...sources, ...older }))
    expect(readConfig({ ...sources, ...newer }).presets.get('card')).toEqual({
      layout: { center: true, dx: 20, dy: 10 },
      onPending: 'retry',
    })
  })

  it('reads any value in percent-encoding, and leaves alone what only has some in it', () => {
    const eventsUrl = (EVENTS_URL: string) =>
      readConfig({ ...required, EVENTS_URL, EVENTS_SECRET: `whsec_${'A'.repeat(32)}` }).eventsUrl?.href
    expect(eventsUrl(' encoded(https://shop.example/a%253Db?c%3D%28d%29) ')).toBe('https://shop.example/a%3Db?c=(d)')
    expect(eventsUrl('https://shop.example/a%3Db')).toBe('https://shop.example/a%3Db')
    expect(readConfig({ ...required, SOURCE_PREFIXES: 'encoded(a%3Db/, c%3B/)' })).toMatchObject({
      sourcePrefixes: ['a=b/', 'c;/'],
      onUpload: [['a=b/'], ['c;/']].map(([folder]) => [folder, [{ center: false, dx: 0, dy: 0 }]]),
    })
    const URL_KEYS = 'encoded:0123456789abcdef'
    expect(readConfig({ ...required, URL_KEYS }).urlKeys).toEqual(new Map([['encoded', '0123456789abcdef']]))
  })

  it('takes the longest folder first', () => {
    const { onUpload } = readConfig({
      ...required,
      PRESETS: 'plain=; card=center-layout=1&padding-layout=20x10',
      ON_UPLOAD: 'uploads/=plain; uploads/shoes/=plain,card',
    })
    expect(onUpload.map(([folder, layouts]) => [folder, layouts.length])).toEqual([
      ['uploads/shoes/', 2],
      ['uploads/', 1],
    ])
  })

  it('gives every source folder the plain layout unless told otherwise', () => {
    const { onUpload } = readConfig({ ...required, SOURCE_PREFIXES: 'a/, b/' })
    expect(onUpload.map(([folder]) => folder).sort()).toEqual(['a/', 'b/'])
  })
})

describe('readCredentials', () => {
  it('reads the execution role, and says when there is none', () => {
    const env = { TENCENTCLOUD_SECRETID: 'id', TENCENTCLOUD_SECRETKEY: 'key', TENCENTCLOUD_SESSIONTOKEN: 'token' }
    expect(readCredentials(env)).toEqual({ secretId: 'id', secretKey: 'key', token: 'token' })
    expect(() => readCredentials({ TENCENTCLOUD_SECRETID: 'id' })).toThrow(
      expect.objectContaining({ code: 'misconfigured' }),
    )
    expect(() => readCredentials({})).toThrow(expect.objectContaining({ code: 'misconfigured' }))
  })
})
