import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Receiver, startReceiver } from '../local/receiver.ts'
import { photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

/** Every way in which the platform may hand over keys and paths: which one it does is not documented. */
const settings = [
  { eventKeys: 'encoded', paths: 'raw', count: 150 },
  { eventKeys: 'raw', paths: 'decoded', count: 60 },
] as const

const long = 'uploads/'.length + '.jpg'.length
const nasty = [
  'uploads/a b.jpg',
  'uploads/a+b.jpg',
  'uploads/100%.jpg',
  // Beside `100%.jpg` its like would be undecidable: the encoded name of the one is the raw name of the other.
  'uploads/50%25.jpg',
  'uploads/a%20b%2Fc.jpg',
  'uploads/%zz.jpg',
  'uploads/what?.jpg',
  'uploads/a&b=c;d.jpg',
  'uploads/#1.jpg',
  `uploads/it's "quoted" (1)!*~.jpg`,
  'uploads/红色 鞋.jpg',
  'uploads/😀/é/e\u0301.jpg',
  'uploads//a//b.jpg',
  'uploads/a\\b.jpg',
  'uploads/<b>&amp;.jpg',
  'uploads/<%.jpg',
  'uploads/"%`%{%}%^%.jpg',
  'uploads/[x]{y}|z^`.jpg',
  'uploads/_5F__.jpg',
  'uploads/line\nfeed\ttab.jpg',
  'uploads/1250000000/photos/uploads/a.jpg',
  `uploads/${'x'.repeat(850 - long)}.jpg`,
  `uploads/${'红'.repeat(Math.floor((850 - long) / 3))}.jpg`,
  `uploads/${'杯'.repeat(98)}.jpg`,
]

describe.each(settings)('promise 7, with $eventKeys event keys and $paths paths', ({ count, ...setting }) => {
  let cloud: TestCloud
  let body: Buffer
  let receiver: Receiver
  beforeAll(async () => {
    const secret = `whsec_${Buffer.alloc(24).toString('base64')}`
    receiver = await startReceiver({ port: 0, secret, print: () => {} })
    const environment = { EVENTS_URL: receiver.url, EVENTS_SECRET: secret }
    cloud = await startTestCloud({ ...setting, environment, instances: 2 })
    body = await photo()
  })
  afterAll(async () => {
    await cloud.close()
    receiver.close()
  })

  it(`${count} nasty keys at once: each is cut out, announced and redirected to, and none paid twice`, async () => {
    const part = fc.oneof(
      fc.constantFrom(...' +%#?&\'"/;=@:,.~_-!*()[]{}|^`<>\\', '%2F', '%', '红', '😀'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
    )
    // URLs cannot carry dot segments (RFC 3986 5.2.4): browsers resolve them before they ask. A slash at the end is a folder's.
    const key = fc
      .array(part, { minLength: 1, maxLength: 12 })
      .map((parts) => `uploads/${parts.join('')}.jpg`)
      .filter((key) => !/\/\.{1,2}\//.test(key) && !nasty.includes(key))
    const length = { minLength: count - nasty.length, maxLength: count - nasty.length, size: 'max' as const }
    const [more = []] = fc.sample(fc.uniqueArray(key, length), { seed: 7, numRuns: 1 })
    const keys = [...nasty, ...more]
    expect(new Set(keys).size).toBe(count)
    const before = receiver.events().length
    for (const key of keys) await cloud.bucket.put(key, body, { type: 'image/jpeg' })
    await cloud.scf.idle()
    expect(
      cloud.cos
        .bill()
        .map(({ source }) => source)
        .sort(),
    ).toEqual([...keys].sort())
    expect(cloud.scf.deadLetters()).toEqual([])
    const told = receiver.events().slice(before).map(Object)
    expect(told.map(({ data }) => data.source.key).sort()).toEqual([...keys].sort())
    expect(new Set(told.map(({ id }) => id)).size).toBe(count)
    for (const { data } of told) {
      const { status, headers } = await cloud.image(
        `/plain/${data.source.key.split('/').map(encodeURIComponent).join('/')}`,
      )
      expect([status, new URL(headers.location ?? '').pathname]).toEqual([302, new URL(data.cutout.url).pathname])
      if (!nasty.includes(data.source.key)) continue
      const picture = await fetch(headers.location ?? '')
      expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/png'])
    }
    expect(cloud.cos.bill()).toHaveLength(count)
  })
})

it('a key that reads differently encoded and raw means the photo that exists', async () => {
  const cloud = await startTestCloud({ environment: { REDIRECT_TTL: '0' } })
  try {
    await cloud.upload('uploads/a%20b.jpg', await photo())
    expect((await cloud.image('/plain/uploads/a%20b.jpg')).status).toBe(302)
    await cloud.upload('uploads/a b.jpg', await photo('#2040b0'))
    expect((await cloud.image('/plain/uploads/a%20b.jpg')).headers.location).toContain('/uploads/a_20b.jpg/')
    expect((await cloud.image('/plain/uploads/a%2520b.jpg')).headers.location).toContain('/uploads/a_2520b.jpg/')
    expect(cloud.cos.bill()).toHaveLength(2)
  } finally {
    await cloud.close()
  }
})
