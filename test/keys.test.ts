import fc from 'fast-check'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Receiver, startReceiver } from '../local/receiver.ts'
import { look, photo, startTestCloud, type TestCloud } from './helpers/cloud.ts'

/** Every way in which the platform may hand over keys and paths: which one it does is not documented. */
const settings = [
  { eventKeys: 'encoded', paths: 'raw' },
  { eventKeys: 'raw', paths: 'decoded' },
] as const

const long = 'uploads/'.length + '.jpg'.length
const nasty = [
  'uploads/a b.jpg',
  'uploads/a+b.jpg',
  'uploads/100%.jpg',
  'uploads/100%25.jpg',
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

describe.each(settings)('promise 7, with $eventKeys event keys and $paths paths', (setting) => {
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

  /** Photo → event → cutout → URL, and not one call too many. */
  async function roundTrip(key: string) {
    const before = cloud.cos.bill().length
    await cloud.upload(key, body)
    const paid = () =>
      cloud.cos
        .bill()
        .slice(before)
        .map(({ source }) => source)
    expect(paid()).toEqual([key])
    const path = key.split('/').map(encodeURIComponent).join('/')
    const { status, headers } = await cloud.image(`/plain/${path}`)
    expect(status).toBe(302)
    const answer = await fetch(headers.location ?? '')
    expect(await look(Buffer.from(await answer.arrayBuffer()))).toMatchObject({ format: 'png', alpha: [0, 255] })
    expect(paid()).toEqual([key])
    expect(cloud.scf.deadLetters()).toEqual([])
    const logs = cloud.scf.invocations().flatMap((run) => run.logs)
    expect(logs.filter((line) => line.includes('"failed"'))).toEqual([])
  }

  it.each(nasty)('%j', roundTrip)

  it('150 nasty keys at once: each is cut out, announced and redirected to, and none paid twice', {
    timeout: 120_000,
  }, async () => {
    const part = fc.oneof(
      fc.constantFrom(...' +%#?&\'"/;=@:,.~_-!*()[]{}|^`<>\\', '%2F', '%', '红', '😀'),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
    )
    // URLs cannot carry dot segments (RFC 3986 5.2.4): browsers resolve them before they ask. A slash at the end is a folder's.
    const key = fc
      .array(part, { minLength: 1, maxLength: 12 })
      .map((parts) => `uploads/${parts.join('')}.jpg`)
      .filter((key) => !/\/\.{1,2}\//.test(key) && !nasty.includes(key))
    const keys =
      fc.sample(fc.uniqueArray(key, { minLength: 150, maxLength: 150, size: 'max' }), { seed: 7, numRuns: 1 })[0] ?? []
    expect(keys).toHaveLength(150)
    await cloud.reset()
    const before = receiver.events().length
    // A small photo, for it is the keys that count.
    const small = await sharp(body).resize(48).jpeg().toBuffer()
    for (const key of keys) await cloud.bucket.put(key, small, { type: 'image/jpeg' })
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
    expect(new Set(told.map(({ id }) => id)).size).toBe(150)
    for (const { data } of told) {
      const { status, headers } = await cloud.image(
        `/plain/${data.source.key.split('/').map(encodeURIComponent).join('/')}`,
      )
      expect([status, new URL(headers.location ?? '').pathname]).toEqual([302, new URL(data.cutout.url).pathname])
    }
    expect(cloud.cos.bill()).toHaveLength(150)
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
