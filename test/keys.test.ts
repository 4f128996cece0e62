import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { type Receiver, startReceiver } from '../local/receiver.ts'
import {
  type Answer,
  codeOf,
  photo,
  putQuietly,
  startForTest,
  startTestCloud,
  type TestCloud,
} from './helpers/cloud.ts'

/** Every way in which the platform may hand over keys and paths: which one it does is not documented. */
const settings = [
  // `npm run prove` has many more.
  { eventKeys: 'encoded', paths: 'raw', count: Number(process.env.NASTY_KEYS ?? 60) },
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

/** What the others are made of, beside any text: each of it is in some of them. */
const BITS = [...' +%#?&\'"/;=@:,.~_-!*()[]{}|^`<>\\', '%2F', '红', '😀']

describe.each(settings)('promise 7, with $eventKeys event keys and $paths paths', ({ count, ...setting }) => {
  let cloud: TestCloud
  let body: Buffer
  let receiver: Receiver
  beforeAll(async () => {
    const secret = `whsec_${Buffer.alloc(24).toString('base64')}`
    receiver = await startReceiver({ port: 0, secret, print: () => {} })
    const environment = { EVENTS_URL: receiver.url, EVENTS_SECRET: secret }
    cloud = await startTestCloud({ ...setting, environment })
    body = await photo()
  })
  afterAll(async () => {
    await cloud.close()
    receiver.close()
  })

  it(`${count} nasty keys at once: each is cut out, announced and redirected to, and none paid twice`, async () => {
    const part = fc.oneof(fc.constantFrom(...BITS), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }))
    // URLs cannot carry dot segments (RFC 3986 5.2.4): browsers resolve them before they ask. A slash at the end is a folder's.
    const key = fc
      .array(part, { minLength: 1, maxLength: 12 })
      .map((parts) => `uploads/${parts.join('')}.jpg`)
      .filter((key) => !/\/\.{1,2}\//.test(key) && !nasty.includes(key))
    const length = { minLength: count - nasty.length, maxLength: count - nasty.length, size: 'max' as const }
    const [more = []] = fc.sample(fc.uniqueArray(key, length), { seed: 2, numRuns: 1 })
    const keys = [...nasty, ...more]
    expect(new Set(keys).size).toBe(count)
    expect(
      BITS.filter((bit) => !more.some((key) => key.slice('uploads/'.length, -'.jpg'.length).includes(bit))),
    ).toEqual([])
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
    const asked = told.map(async ({ data }) => {
      const { status, headers } = await cloud.image(
        `/plain/${data.source.key.split('/').map(encodeURIComponent).join('/')}`,
      )
      expect([status, new URL(headers.location ?? '').pathname]).toEqual([302, new URL(data.cutout.url).pathname])
      if (!nasty.includes(data.source.key)) return
      const picture = await fetch(headers.location ?? '')
      expect([picture.status, picture.headers.get('content-type')]).toEqual([200, 'image/png'])
    })
    await Promise.all(asked)
    expect(cloud.cos.bill()).toHaveLength(count)
  })
})

describe.each(settings)(
  'two photos, the name of one being the encoded name of the other, with $paths paths',
  ({ paths }) => {
    const secret = '0123456789abcdef'
    const [spaced, encoded] = ['uploads/a b.jpg', 'uploads/a%20b.jpg'] as const
    /** Of the cutouts, without the photo's version. */
    const folderOf = (answer: Answer) =>
      /\/uploads\/([^/]+)\//.exec(answer.headers.location ?? '')?.[1] ?? codeOf(answer)
    const [ofSpaced, ofEncoded] = ['a_20b.jpg', 'a_2520b.jpg']

    async function start(keys: readonly string[], environment: Record<string, string> = {}) {
      const cloud = await startForTest({ paths, instances: 1, environment })
      for (const [i, key] of keys.entries()) await putQuietly(cloud, key, await photo(i ? '#2040b0' : '#b03020'))
      return cloud
    }

    it('alone, each is what its address means', async () => {
      for (const [key, folder] of [
        [spaced, ofSpaced],
        [encoded, ofEncoded],
      ] as const) {
        const cloud = await start([key])
        for (let i = 0; i < 2; i++) expect(folderOf(await cloud.image(encodeURI(`/plain/${key}`)))).toBe(folder)
        expect(cloud.cos.bill()).toHaveLength(1)
      }
    })

    it('together, neither is shown for the other, by a warm instance neither', async () => {
      const cloud = await start([spaced])
      // A platform that decodes hands over a blank, which was encoded for sure; one that does not, the name of the other.
      const one = encodeURI(`/plain/${paths === 'decoded' ? spaced : encoded}`)
      const both = encodeURI(`/plain/${paths === 'decoded' ? encoded : spaced}`)
      expect(folderOf(await cloud.image(both))).toBe(ofSpaced)
      await putQuietly(cloud, encoded, await photo('#2040b0'))
      expect(folderOf(await cloud.image(one))).toBe(paths === 'decoded' ? ofSpaced : ofEncoded)
      // Until then it is known as the photo that it was.
      cloud.clock.advance(300_000)
      const before = cloud.cos.requests().length
      for (let i = 0; i < 2; i++) {
        const answer = await cloud.image(both)
        expect([answer.status, codeOf(answer)]).toEqual([400, 'ambiguous-key'])
      }
      // Free ones alone.
      expect(
        cloud.cos
          .requests()
          .slice(before)
          .map(({ operation }) => operation),
      ).toEqual(Array(4).fill('HeadObject'))
      expect(folderOf(await cloud.image(one))).toBe(paths === 'decoded' ? ofSpaced : ofEncoded)
      expect(cloud.cos.bill().length).toBe(paths === 'decoded' ? 1 : 2)
    })

    it('signed, each is the one whose key was signed, by whatever spelling, be it warm or not', async () => {
      const cloud = await start([spaced, encoded], { ACCESS: 'signed', URL_KEYS: `shop:${secret}` })
      const expires = Math.floor(cloud.clock.now() / 1000) + 60
      for (let i = 0; i < 2; i++) {
        for (const [key, folder] of [
          [spaced, ofSpaced],
          [encoded, ofEncoded],
        ] as const) {
          const url = imageUrl('', { layout: 'plain', key, expires }, 'shop', secret)
          expect(folderOf(await cloud.image(url))).toBe(folder)
          if (paths === 'decoded' || key === spaced) continue
          // A signer that forgets to encode; or an attacker, who wants his photo kept in a cache under the path of another.
          const answer = await cloud.image(url.replace('%2520', '%20'))
          expect([folderOf(answer), answer.headers['cache-control']]).toEqual([
            folder,
            expect.stringMatching(/^private,/),
          ])
        }
      }
      expect(cloud.cos.bill()).toHaveLength(2)
    })
  },
)
