import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Layout, plain } from '../lib/layout.ts'
import { type PresignedUpload, presignUpload, putPhoto } from '../lib/pay/pay.ts'
import { BUCKET, REGION, UPLOAD } from '../local/cloud.ts'
import { claimsOf, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'
import { createSeed } from './helpers/seed.ts'
import { begin, md5, partsOf, put } from './helpers/uploads.ts'

const KEY = 'uploads/mug.jpg'
const SECOND = 1_000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE
const card: Layout = { center: true, dx: 20, dy: 10 }

interface Wish {
  key?: string
  type?: string
  seconds?: number
  layouts?: Layout[]
  settings?: Record<string, string>
}

function grant(cloud: TestCloud, body: Buffer, wish: Wish = {}): Promise<PresignedUpload | undefined> {
  const { key = KEY, type = 'image/jpeg', seconds = 60, layouts = [plain], settings = {} } = wish
  const what = { key, md5: md5(body), type, size: body.length }
  return presignUpload(partsOf(cloud, settings), what, layouts, UPLOAD, seconds)
}

async function granted(cloud: TestCloud, body: Buffer, wish: Wish = {}): Promise<PresignedUpload> {
  const signed = await grant(cloud, body, wish)
  if (!signed) throw new Error('nothing was handed out')
  return signed
}

/** How often CI was asked, by method. */
const methods = (cloud: TestCloud) => cloud.cos.bill().map(({ method }) => method)

async function claimIn(cloud: TestCloud): Promise<Record<string, unknown>> {
  const [key = ''] = await claimsOf(cloud)
  return Object(JSON.parse((await cloud.bucket.get(key))?.body ?? '{}'))
}

describe('a slow upload is paid once', () => {
  /** So that the vendor's half of it is longer than a busy machine takes. */
  const LONG = { CLAIM_TIME: '600' }

  it.each(['end', 'start'] as const)(
    'by a presigned PUT whose body is slower than its claim, with Last-Modified at its %s',
    async (lastModified) => {
      const cloud = await startForTest({ lastModified, environment: LONG })
      const body = await photo()
      const { put: slow, status } = await begin(await granted(cloud, body, { settings: LONG }), body)
      slow.write(body.subarray(0, 100))
      cloud.clock.advance(20 * MINUTE)
      cloud.faults.set([{ on: 'Cut', kind: 'hold', times: 1 }])
      slow.end(body.subarray(100))
      // The photo is there, and its event; CI is at work. Twice the claim's time would have passed.
      await expect.poll(() => claimIn(cloud)).toMatchObject({ photo: 'seen' })
      expect(cloud.faults.held()).toEqual([KEY])
      cloud.faults.release()
      expect(await status).toBe(200)
      await cloud.scf.idle()
      expect(methods(cloud)).toEqual(['upload'])
      expect(await claimsOf(cloud)).toHaveLength(1)
      expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('hit')
    },
  )

  it.each(['end', 'start'] as const)(
    'by a server over a slow line, with Last-Modified at its %s',
    async (lastModified) => {
      const cloud = await startForTest({ lastModified, environment: LONG })
      const body = await photo()
      // Held where its headers have arrived, and its bytes have not.
      cloud.faults.set([
        { on: 'PutObject', prefix: 'uploads/', kind: 'hold', times: 1 },
        { on: 'Cut', kind: 'hold', times: 1 },
      ])
      const uploading = putPhoto(partsOf(cloud, LONG), KEY, { body, type: 'image/jpeg' }, [plain])
      await expect.poll(() => cloud.faults.held()).toEqual([KEY])
      cloud.clock.advance(20 * MINUTE)
      cloud.faults.release()
      await expect.poll(() => claimIn(cloud)).toMatchObject({ photo: 'seen' })
      cloud.faults.release()
      expect(await uploading).toMatchObject({ paid: 1 })
      await cloud.scf.idle()
      expect(methods(cloud)).toEqual(['upload'])
    },
  )

  it('by a server over a slow line, where the same photo lies already', async () => {
    const cloud = await startForTest()
    const body = await photo()
    await putQuietly(cloud, KEY, body)
    cloud.clock.advance(MINUTE)
    cloud.faults.set([{ on: 'PutObject', prefix: 'uploads/', kind: 'hold', times: 1 }])
    const uploading = putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    // CLAIM_TIME has passed, but not the time for which the server may be putting it.
    cloud.clock.advance(12 * SECOND)
    const asked = cloud.image(`/plain/${KEY}`)
    const looks = () => cloud.cos.requests().filter(({ path }) => path.startsWith('/.matting/claims/')).length
    const before = looks()
    await expect.poll(looks).toBeGreaterThan(before)
    cloud.faults.release()
    expect(await uploading).toMatchObject({ paid: 1 })
    expect((await asked).headers['x-matting']).toBe('joined')
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])
  })

  it('and a crash after the claim still frees it: half of CLAIM_TIME after the photo was seen', async () => {
    const cloud = await startForTest()
    const body = await photo()
    await granted(cloud, body, { seconds: 1 })
    cloud.clock.advance(MINUTE)
    await cloud.bucket.put(KEY, body, { type: 'image/jpeg' })
    await expect.poll(() => claimIn(cloud)).toMatchObject({ photo: 'seen', seconds: 3 })
    expect(cloud.cos.bill()).toEqual([])
    cloud.clock.advance(6 * SECOND)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['cloud'])
    expect(await claimsOf(cloud)).toHaveLength(2)
  })

  it('and where no photo came, the next grant is free when the signature can no longer have begun', async () => {
    const cloud = await startForTest()
    const body = await photo()
    await granted(cloud, body, { seconds: 10 })
    cloud.clock.advance(10 * SECOND)
    expect(await grant(cloud, body)).toBeUndefined()
    cloud.clock.advance(6 * SECOND)
    expect((await put(await granted(cloud, body), body)).status).toBe(200)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])
  })
})

describe('presignUpload that was frozen after its claim', () => {
  it('hands out nothing that outlives the claim, and releases it', async () => {
    const cloud = await startForTest()
    const body = await photo()
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/receipts/', kind: 'hold', times: 1 }])
    const frozen = grant(cloud, body, { seconds: 10 })
    await expect.poll(() => cloud.faults.held()).toHaveLength(1)
    cloud.clock.advance(15 * MINUTE)
    cloud.faults.release()
    const late = await frozen
    // Whoever comes next need not wait, and pays once, also if the late one were used.
    await cloud.upload(KEY, body)
    await cloud.bucket.delete(KEY)
    if (late) await put(late, body)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['cloud'])
    expect(late).toBeUndefined()
    expect(await cloud.keys('.matting/receipts/')).toHaveLength(1)
  })

  it('hands out what ends when it would have ended without', async () => {
    const cloud = await startForTest()
    const body = await photo()
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/receipts/', kind: 'hold', times: 1 }])
    const frozen = grant(cloud, body, { seconds: 60 })
    await expect.poll(() => cloud.faults.held()).toHaveLength(1)
    cloud.clock.advance(40 * SECOND)
    cloud.faults.release()
    const signed = await frozen
    cloud.clock.advance(22 * SECOND)
    expect(signed && (await put(signed, body)).status).toBe(403)
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('DAILY_LIMIT and presigned uploads', () => {
  const settings = { DAILY_LIMIT: '2' }
  const layouts = [plain, card]

  it('counts what was presigned while it may be used, and no more once it has lapsed unused', async () => {
    const cloud = await startForTest()
    const [first, second, third] = await Promise.all([photo(), photo('#2040b0'), photo('#20b040')])
    await granted(cloud, first, { settings, layouts })
    expect(await grant(cloud, second, { key: 'uploads/b.jpg', settings, layouts })).toBeUndefined()
    cloud.clock.advance(70 * SECOND)
    const signed = await granted(cloud, second, { key: 'uploads/b.jpg', settings, layouts })
    expect((await put(signed, second)).status).toBe(200)
    await cloud.scf.idle()
    cloud.clock.advance(70 * SECOND)
    // This one was used.
    expect(await grant(cloud, third, { key: 'uploads/c.jpg', settings, layouts })).toBeUndefined()
    expect(methods(cloud)).toEqual(['upload', 'upload'])
  })

  it('counts a result that was billed and dropped', async () => {
    const cloud = await startForTest()
    // An hour after midnight, or the limit would start anew in the ten minutes that pass below.
    cloud.clock.advance(DAY + 60 * MINUTE - (cloud.clock.now() % DAY))
    const [first, second] = await Promise.all([photo(), photo('#2040b0')])
    const signed = await granted(cloud, first, { settings: { DAILY_LIMIT: '1' } })
    cloud.faults.set([
      { on: 'GoodsMatting', kind: 'drop-result' },
      { on: 'Event', kind: 'drop' },
    ])
    expect((await put(signed, first)).status).toBe(200)
    cloud.clock.advance(10 * MINUTE)
    for (let i = 0; i < 2; i++) {
      const wish = { key: 'uploads/b.jpg', settings: { DAILY_LIMIT: '1' } }
      expect(await grant(cloud, second, wish)).toBeUndefined()
    }
    expect(methods(cloud)).toEqual(['upload'])
  })

  it('is not doubled over midnight', async () => {
    const cloud = await startForTest()
    // Twenty seconds before it.
    cloud.clock.advance(2 * DAY - (cloud.clock.now() % DAY) - 20 * SECOND)
    const bodies = await Promise.all([photo(), photo('#2040b0'), photo('#20b040')])
    const one = { DAILY_LIMIT: '1' }
    const [first, second, third] = bodies as [Buffer, Buffer, Buffer]
    const evening = await granted(cloud, first, { settings: one })
    cloud.clock.advance(25 * SECOND)
    expect((await put(evening, first)).status).toBe(403)
    const morning = await granted(cloud, second, { key: 'uploads/b.jpg', settings: one })
    expect((await put(morning, second)).status).toBe(200)
    expect(await grant(cloud, third, { key: 'uploads/c.jpg', settings: one })).toBeUndefined()
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('counts a thousand receipts and more with few calls', async () => {
    const data = await mkdtemp(join(tmpdir(), 'receipts-'))
    const day = new Date().toISOString().slice(0, 10)
    const key = (time: string) => `.matting/receipts/${day}/${time}-${randomUUID()}-1.json`
    const seed = createSeed(data)
    // The first ones of the early morning, the others of now.
    for (let i = 0; i < 1_100; i++)
      seed.put(key(`000${String(i).padStart(6, '0')}`), Buffer.from('{}'), 'application/json')
    const cloud = await startForTest({ data })
    cloud.clock.advance(Math.max(0, 60 * MINUTE - (cloud.clock.now() % DAY)))
    const settings = { DAILY_LIMIT: '1200' }
    const ask = async (colour: string) => {
      const before = cloud.cos.requests().length
      const signed = await grant(cloud, await photo(colour), { key: `uploads/${colour}.jpg`, settings })
      const asked = cloud.cos.requests().slice(before)
      return [signed !== undefined, asked.filter(({ operation }) => operation === 'GetBucket').length]
    }
    // Marks, claims, grants; and two pages of receipts, later one.
    expect(await ask('red')).toEqual([true, 5])
    expect(await ask('green')).toEqual([true, 4])
    const more = Array.from({ length: 97 }, () => key('235959999'))
    await Promise.all(more.map((name) => cloud.bucket.put(name, '{}', { type: 'application/json' })))
    expect(await ask('blue')).toEqual([true, 4])
    expect(await ask('black')).toEqual([false, 4])
  })
})

describe('one gate for both ways in', () => {
  it.each<[string, Wish]>([
    ['a key that looks like a cutout’s', { key: 'uploads/0123456789abcdef-plain.png', type: 'image/png' }],
    ['a type that is no image’s', { type: 'text/html' }],
    [
      'a name that is no image’s, where the type says nothing',
      { key: 'uploads/a.txt', type: 'application/octet-stream' },
    ],
    ['a folder', { key: 'uploads/a/' }],
    ['a key that is too long', { key: `uploads/${'x'.repeat(850)}` }],
    ['another folder', { key: 'elsewhere/mug.jpg' }],
  ])('%s gets no presigned PUT, and nothing is claimed', async (_, wish) => {
    const cloud = await startForTest()
    expect(await grant(cloud, await photo(), wish)).toBeUndefined()
    expect(await claimsOf(cloud)).toEqual([])
    expect(await cloud.keys('.matting/')).toEqual([])
  })

  it('an upload by a server of what is never cut out is stored, and not paid', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const key = 'uploads/0123456789abcdef-plain.png'
    expect(await putPhoto(partsOf(cloud), key, { body, type: 'image/png' }, [plain])).toMatchObject({ paid: 0 })
    await cloud.scf.idle()
    expect(await cloud.bytes(key)).toEqual(body)
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('A→B→A while it is cut', () => {
  it('is not A→A: a photo that is put again while it is cut is paid once', async () => {
    const cloud = await startForTest()
    const a = await photo()
    await putQuietly(cloud, KEY, a)
    cloud.clock.advance(MINUTE)
    cloud.faults.set([
      { on: 'Event', kind: 'drop' },
      { on: 'Cut', kind: 'hold', times: 1 },
    ])
    const asked = cloud.image(`/plain/${KEY}`)
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
    cloud.faults.release()
    expect((await asked).headers['x-matting']).toBe('made')
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('hit')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('leaves no cutout of B under the name of A', async () => {
    const cloud = await startForTest()
    const [a, b] = await Promise.all([photo(), photo('#2040b0')])
    await putQuietly(cloud, KEY, a)
    cloud.clock.advance(MINUTE)
    cloud.faults.set([
      { on: 'Event', kind: 'drop' },
      { on: 'ImageProcess', kind: 'hold', times: 1 },
      { on: 'Cut', kind: 'hold', times: 1 },
      // So that only the date can tell.
      { on: 'GoodsMatting', kind: 'lose-answer', times: 1 },
    ])
    const asked = cloud.image(`/plain/${KEY}`)
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    await cloud.bucket.put(KEY, b, { type: 'image/jpeg' })
    cloud.faults.release()
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
    cloud.faults.release()
    const answer = await asked
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'changed'])
    expect(await cloud.keys('cutouts/')).toEqual([])
    cloud.faults.set([])
    cloud.clock.advance(MINUTE)
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('made')
  })

  it('leaves no mark of failure of B on A', async () => {
    const cloud = await startForTest()
    const a = await photo()
    await putQuietly(cloud, KEY, a)
    cloud.clock.advance(MINUTE)
    cloud.faults.set([
      { on: 'Event', kind: 'drop' },
      { on: 'ImageProcess', kind: 'hold', times: 1 },
      { on: 'Cut', kind: 'hold', times: 1 },
    ])
    const asked = cloud.image(`/plain/${KEY}`)
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    await cloud.bucket.put(KEY, Buffer.from('no image'), { type: 'image/jpeg' })
    cloud.faults.release()
    await expect.poll(() => cloud.faults.held()).toEqual([KEY])
    await cloud.bucket.put(KEY, a, { type: 'image/jpeg' })
    cloud.faults.release()
    expect(JSON.parse((await asked).body).code).toBe('changed')
    cloud.faults.set([])
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('made')
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

/** Every request header of PUT Object (product/436/7749), and some that other pages name, with what would change something. */
const HEADERS: [name: string, value: string][] = [
  ['Cache-Control', 'no-store'],
  ['Content-Disposition', 'attachment'],
  ['Content-Encoding', 'gzip'],
  ['Content-Language', 'de'],
  ['Expires', 'Wed, 25 Nov 2026 12:00:00 GMT'],
  ['x-cos-meta-matting', 'plain,card,a,b,c,d'],
  ['x-cos-meta-other', 'something'],
  ['x-cos-storage-class', 'DEEP_ARCHIVE'],
  ['x-cos-acl', 'public-read'],
  ['x-cos-grant-read', 'id="100000000001"'],
  ['x-cos-grant-read-acp', 'id="100000000001"'],
  ['x-cos-grant-write', 'id="100000000001"'],
  ['x-cos-grant-write-acp', 'id="100000000001"'],
  ['x-cos-grant-full-control', 'id="100000000001"'],
  ['x-cos-server-side-encryption', 'AES256'],
  ['x-cos-server-side-encryption-cos-kms-key-id', 'a'],
  ['x-cos-server-side-encryption-context', 'e30='],
  ['x-cos-server-side-encryption-customer-algorithm', 'AES256'],
  ['x-cos-server-side-encryption-customer-key', 'MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY='],
  ['x-cos-server-side-encryption-customer-key-MD5', 'U5L61r7jcwdNvT7frmUG8g=='],
  ['x-cos-tagging', 'a=b'],
  ['x-cos-traffic-limit', '838860800'],
  ['x-cos-return-body', 'e30='],
  ['x-cos-callback', 'e30='],
  ['x-cos-callback-var', 'e30='],
  ['x-cos-object-lock-mode', 'COMPLIANCE'],
  ['x-cos-copy-source', `${BUCKET}.cos.${REGION}.myqcloud.com/uploads/other.jpg`],
  ['x-cos-forbid-overwrite', 'false'],
  ['Pic-Operations', '{"rules":[]}'],
  ['Content-MD5', 'AAAAAAAAAAAAAAAAAAAAAA=='],
  ['Content-Type', 'text/html'],
]

/** Strict signatures (product/436/53892): a PUT must sign all of its x-cos- headers. */
async function requireSigned({ bucket, clock }: TestCloud): Promise<void> {
  const rule =
    '<ID>1</ID><actionlist><action>PutObject</action></actionlist><headerlist><header>x-cos-*</header></headerlist>'
  const body = `<StrictSignatureConfiguration><Rule>${rule}</Rule></StrictSignatureConfiguration>`
  const now = Math.floor(clock.now() / 1000)
  const url = bucket.presign('', now - 60, now + 60, { method: 'PUT', query: { 'strict-signature': '' } })
  expect((await fetch(url, { method: 'PUT', body })).status).toBe(200)
}

describe('whoever holds a presigned PUT', () => {
  const environment = {
    PRESETS: 'plain=; card=center-layout=1; a=padding-layout=1x1; b=padding-layout=2x2; c=padding-layout=3x3',
    ON_UPLOAD: 'uploads/=plain,card',
  }

  it('gets what was granted, whatever the folder says, and no more by x-cos-meta-matting', async () => {
    const cloud = await startForTest({ environment })
    const body = await photo()
    const signed = await granted(cloud, body, { settings: environment })
    expect(signed.headers['x-cos-meta-matting']).toBe('plain')
    expect((await put(signed, body, { 'x-cos-meta-matting': 'plain,card,a,b,c' })).status).toBe(403)
    expect((await put(signed, body)).status).toBe(200)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])
  })

  it('is kept from more also where what was granted is no preset', async () => {
    const cloud = await startForTest({ environment })
    const body = await photo()
    const signed = await granted(cloud, body, { settings: environment, layouts: [{ ...plain, dx: 9 }] })
    expect(signed.headers['x-cos-meta-matting']).toBe('off')
    expect((await put(signed, body)).status).toBe(200)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])
  })

  it('changes nothing by any header that is not signed', async () => {
    const cloud = await startForTest({ environment })
    const body = await photo()
    const other = await photo('#2040b0')
    await putQuietly(cloud, 'uploads/other.jpg', other)
    const tries = await Promise.all(
      HEADERS.map(async ([name, value], i) => {
        const key = `uploads/${i}.jpg`
        const signed = await granted(cloud, body, { key, settings: environment })
        const { status } = await put(signed, body, { [name.toLowerCase()]: value })
        return { name, key, status }
      }),
    )
    await cloud.scf.idle()
    const open: string[] = []
    for (const { name, key, status } of tries) {
      const etag = (await cloud.bucket.head(key))?.etag
      const paid = cloud.cos.bill().filter(({ source }) => source === key).length
      if (status === 403 || status === 400) expect([name, etag, paid]).toEqual([name, undefined, 0])
      // Harmless: this photo, its one cutout, and nothing else.
      else if (status === 200) expect([name, etag, paid]).toEqual([name, md5(body), 1])
      else open.push(name)
    }
    expect((await cloud.bucket.head('uploads/other.jpg'))?.etag).toBe(md5(other))
    expect(cloud.scf.deadLetters()).toEqual([])
    // What COS would do, and the local one does not, needs the strict signatures of docs: then all of them are refused.
    await requireSigned(cloud)
    for (const name of new Set([...open, 'x-cos-meta-other', 'x-cos-traffic-limit'])) {
      expect(name).toMatch(/^x-cos-/)
      const key = `uploads/${name}.jpg`
      const [, value = ''] = HEADERS.find(([header]) => header === name) ?? []
      const signed = await granted(cloud, body, { key, settings: environment })
      expect([name, (await put(signed, body, { [name]: value })).status]).toEqual([name, 403])
      expect((await put(signed, body)).status).toBe(200)
    }
  })
})
