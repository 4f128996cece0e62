import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import {
  held,
  lapse,
  look,
  looks,
  PHOTO,
  photo,
  putQuietly,
  startForTest,
  startTestCloud,
  type TestCloud,
} from './helpers/cloud.ts'
import { sendRaw, send as sendTo } from './helpers/cos.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())

/** The last line that the function wrote about an object. */
function logOf({ scf }: TestCloud): unknown {
  return JSON.parse(scf.invocations().at(-1)?.logs[0] ?? '{}')
}

/** As the owner does it, with headers of one's own, in the default bucket or another one. */
function send({ cosUrl }: TestCloud, method: string, key: string, body?: Buffer, headers = {}, bucket = BUCKET) {
  const host = `${bucket}.cos.${REGION}.myqcloud.com`
  const owner = { id: CREDENTIALS.secretId, secret: CREDENTIALS.secretKey }
  return sendTo(Number(new URL(cosUrl).port), method, key, { host, headers, ...owner, ...(body && { body }) })
}

const etagOf = async (key: string) => (await cloud.bucket.head(key))?.etag

describe('a photo put into a source folder', () => {
  it('promise 1: gets its cutout, one paid call for each layout', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const key = `cutouts/uploads/mug.jpg/${await etagOf('uploads/mug.jpg')}-plain.png`
    expect(await cloud.keys('cutouts/')).toEqual([key])
    expect(cloud.cos.bill()).toMatchObject([
      { method: 'cloud', source: 'uploads/mug.jpg', rule: 'ci-process=GoodsMatting', fileid: key, outcome: 'stored' },
    ])
    expect(await look(await cloud.bytes(key))).toEqual({ format: 'png', ...PHOTO, alpha: [0, 255] })
  })

  it('is not paid again when the same event comes again', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations()).toHaveLength(2)
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('gets a new cutout when it changes, and keeps the old one', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/mug.jpg', await photo('#2040b0'))
    expect(cloud.cos.bill()).toHaveLength(2)
    expect(await cloud.keys('cutouts/')).toHaveLength(2)
  })

  // An event may leave the type out; then its name settles it, or HEAD does.
  it.each<[key: string, type: string, body: string, outcome: string, why: string | undefined, heads: number]>([
    ['uploads/a.jpg', 'image/jpeg', 'photo', 'cut', undefined, 1],
    ['uploads/a', 'image/png', 'photo', 'cut', undefined, 1],
    ['uploads/a.txt', 'image/webp', 'photo', 'cut', undefined, 1],
    ['uploads/a.JPG', 'application/octet-stream', 'photo', 'cut', undefined, 1],
    ['uploads/a.bin', 'application/octet-stream', 'photo', 'skipped', 'not an image by its type and name', 1],
    ['uploads/a.jpg', 'text/html; charset=utf-8', 'photo', 'skipped', 'not an image by its type', 0],
    ['uploads/a.svg', 'image/svg+xml', 'photo', 'skipped', 'not an image by its type', 0],
    ['uploads/a.jpg', 'image/jpeg', '', 'skipped', 'empty', 0],
    ['uploads/folder/', '', 'photo', 'skipped', 'empty', 0],
    ['uploads/x/0123456789abcdef0123456789abcdef-12-c1-p20x10.png', 'image/png', 'photo', 'skipped', 'a cutout', 0],
  ])('is looked at by type and name: %s as %j, %j → %s (%s), %i HEAD', async (key, type, body, outcome, why, heads) => {
    await cloud.bucket.put(key, body && (await photo()), { type })
    await cloud.scf.idle()
    expect(logOf(cloud)).toMatchObject({ outcome, ...(why && { why }) })
    expect(cloud.cos.bill()).toHaveLength(outcome === 'cut' ? 1 : 0)
    const asked = cloud.cos.requests().filter((one) => one.operation === 'HeadObject')
    // A second one after paying: is it still the photo that was seen?
    expect(asked).toHaveLength(heads + (outcome === 'cut' ? 1 : 0))
  })

  it.each<[matting: string, layouts: string[], outcome: object]>([
    ['off', [], { outcome: 'skipped', why: 'off by its metadata' }],
    ['card', ['c1-p20x10'], { outcome: 'cut', paid: 1 }],
    ['plain , card', ['c1-p20x10', 'plain'], { outcome: 'cut', paid: 2 }],
    ['OFF', [], { outcome: 'skipped', why: 'off by its metadata' }],
    [', card,', ['c1-p20x10'], { outcome: 'cut', paid: 1 }],
    ['nope', [], { outcome: 'failed', code: 'bad-layout' }],
    ['center-layout=1', [], { outcome: 'failed', code: 'bad-layout' }],
  ])('says itself what is made of it: x-cos-meta-matting: %s', async (matting, layouts, outcome) => {
    await send(cloud, 'PUT', 'uploads/mug.jpg', await photo(), { 'x-cos-meta-matting': matting })
    await cloud.scf.idle()
    expect(logOf(cloud)).toMatchObject(outcome)
    const made = (await cloud.keys('cutouts/')).map((key) => /\/\w{32}-(.*)\.png$/.exec(key)?.[1])
    expect(made.sort()).toEqual(layouts)
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('outside a source folder triggers nothing', async () => {
    await cloud.upload('other/mug.jpg', await photo())
    expect(cloud.scf.invocations()).toEqual([])
  })
})

describe('a photo that cannot be cut out', () => {
  it('fails for good when it is no image: logged, acknowledged, not delivered again, not billed', async () => {
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    const runs = cloud.scf.invocations()
    expect(runs.map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(JSON.parse(runs[0]?.logs[0] ?? '{}')).toMatchObject({
      outcome: 'failed',
      code: 'not-an-image',
      key: 'uploads/fake.jpg',
    })
    expect(cloud.cos.bill()).toEqual([])
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('without a product is billed all the same, and its cutout is transparent', async () => {
    const blank = await photo('#e4e4e6')
    await cloud.upload('uploads/blank.jpg', blank)
    expect(cloud.cos.bill()).toMatchObject([{ blank: true }])
    const [key = ''] = await cloud.keys('cutouts/')
    expect((await look(await cloud.bytes(key))).alpha).toEqual([0, 0])
  })
})

describe('CUTOUT_BUCKET', () => {
  const other = 'cutouts-1250000000'

  it('takes the cutouts and all records; trigger and URL share them there', async () => {
    const cloud = await startForTest({
      environment: { CUTOUT_BUCKET: other, CUTOUT_PREFIX: 'uploads/', DAILY_LIMIT: '9' },
    })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(logOf(cloud)).toMatchObject({ outcome: 'cut', paid: 1 })
    expect(await cloud.keys('')).toEqual(['uploads/mug.jpg'])
    const list = await send(cloud, 'GET', '', undefined, {}, other)
    const keys = [...list.text.matchAll(/<Key>([^<]*)/g)].map(([, key]) => key?.replace(/[0-9a-f-]{36}|\d{9}/g, '*'))
    expect(keys).toEqual([
      expect.stringMatching(/^\.matting\/claims\/uploads\/uploads\/mug\.jpg\/\w{32}-plain\.png\/0$/),
      expect.stringMatching(/^\.matting\/receipts\//),
      expect.stringMatching(/^uploads\/uploads\/mug\.jpg\/\w{32}-plain\.png$/),
    ])
    const { status, headers } = await cloud.image('/plain/uploads/mug.jpg')
    expect([status, headers['x-matting']]).toEqual([302, 'hit'])
    expect(new URL(headers.location ?? '').hostname).toBe(`${other}.localhost`)
    const { pathname, search } = new URL(headers.location ?? '')
    const host = new URL(headers.location ?? '').host
    const picture = await sendRaw(Number(new URL(cloud.cosUrl).port), 'GET', pathname + search, { headers: { host } })
    expect((await look(picture.bytes)).alpha).toEqual([0, 255])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('ON_DELETE', () => {
  it('remove: the cutouts of a photo that is deleted go, and those of its neighbours stay', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    const stays = ['uploads/a.jpg/b.jpg', 'uploads/a.jpg2.jpg', 'uploads/c.jpg']
    for (const [i, key] of stays.entries()) await cloud.upload(key, await photo(`#20${i}0b0`))
    const before = await cloud.keys('cutouts/')
    await cloud.upload('uploads/a.jpg', await photo())
    await cloud.upload('uploads/a.jpg', await photo('#2040b0'))
    expect(await cloud.keys('cutouts/')).toHaveLength(before.length + 2)
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.scf.idle()
    expect(logOf(cloud)).toMatchObject({ key: 'uploads/a.jpg', outcome: 'removed', cutouts: 2 })
    expect(await cloud.keys('cutouts/')).toEqual(before)
  })

  it('remove: what is known against it goes as well, and what somebody put there by hand stays', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    await cloud.bucket.put('cutouts/uploads/a.jpg/retouched.psd', 'by hand', { type: 'image/x-psd' })
    await cloud.upload('uploads/a.jpg', Buffer.from('no image'))
    expect(await cloud.keys('.matting/failed/')).toHaveLength(1)
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.scf.idle()
    expect(logOf(cloud)).toMatchObject({ outcome: 'removed', cutouts: 0 })
    expect(await cloud.keys('.matting/failed/')).toEqual([])
    expect(await cloud.keys('cutouts/')).toEqual(['cutouts/uploads/a.jpg/retouched.psd'])
  })

  it('remove: a photo that is put again while they are removed is cut out again', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    await cloud.upload('uploads/a.jpg', await photo())
    cloud.faults.set([{ on: 'GetBucket', kind: 'hold', times: 1 }])
    await cloud.bucket.delete('uploads/a.jpg')
    await held(cloud)
    const again = cloud.upload('uploads/a.jpg', await photo())
    await expect.poll(() => cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok', 'running', 'ok'])
    cloud.faults.release()
    // What is made anew waits for the first one's claim.
    await looks(cloud)
    lapse(cloud)
    await again
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('remove: of a photo that was put again meanwhile nothing goes', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    await cloud.upload('uploads/a.jpg', await photo())
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 60_000, times: 1 }])
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
    await expect.poll(() => cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
    cloud.clock.advance(60_000)
    await cloud.scf.idle()
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
    const lines = cloud.scf.invocations().flatMap(({ logs }) => logs)
    expect(lines.join()).toContain('it is there again')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('keep: nothing goes', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.scf.idle()
    expect(logOf(cloud)).toMatchObject({ outcome: 'skipped', why: 'cutouts are kept' })
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
  })
})

describe('what is known against a photo', () => {
  it('in one layout is not held against the others', async () => {
    const cloud = await startForTest({ environment: { CLAIM_TIME: '6' } })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'error', code: 'InvalidArgument', times: 1 }])
    expect((await cloud.image('/card/uploads/mug.jpg')).status).toBe(422)
    for (const claim of await cloud.keys('.matting/claims/')) await cloud.bucket.delete(claim)
    expect((await cloud.image('/card/uploads/mug.jpg')).status).toBe(422)
    expect((await cloud.image('/plain/uploads/mug.jpg')).status).toBe(302)
    expect(await cloud.keys('.matting/failed/')).toEqual([expect.stringMatching(/-c1-p20x10\.refused\.json$/)])
  })

  it('is told without asking the vendor again, by trigger and URL, until the photo changes', async () => {
    const asked = () => cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess').length
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    const [mark = '', ...more] = await cloud.keys('.matting/failed/')
    expect(mark).toMatch(/^\.matting\/failed\/cutouts\/uploads\/fake\.jpg\/\w{32}\.not-an-image\.json$/)
    expect(more).toEqual([])
    expect(JSON.parse((await cloud.bucket.get(mark))?.body ?? '')).toMatchObject({
      code: 'not-an-image',
      key: 'uploads/fake.jpg',
    })
    expect(asked()).toBe(1)
    // As if the time of its claim were over.
    for (const claim of await cloud.keys('.matting/claims/')) await cloud.bucket.delete(claim)
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    expect(logOf(cloud)).toMatchObject({ outcome: 'failed', code: 'not-an-image' })
    expect((await cloud.image('/plain/uploads/fake.jpg')).status).toBe(422)
    expect((await cloud.image('/card/uploads/fake.jpg')).status).toBe(422)
    expect(asked()).toBe(1)
    await cloud.upload('uploads/fake.jpg', await photo())
    expect(logOf(cloud)).toMatchObject({ outcome: 'cut', paid: 1 })
  })

  it('is not that somebody was not allowed: an operator mends that', async () => {
    await send(cloud, 'DELETE', 'ai_bucket')
    const ci = (method: string) =>
      sendTo(Number(new URL(cloud.cosUrl).port), method, 'ai_bucket', {
        host: `${BUCKET}.ci.${REGION}.myqcloud.com`,
        id: CREDENTIALS.secretId,
        secret: CREDENTIALS.secretKey,
      })
    expect((await ci('DELETE')).status).toBe(200)
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.deadLetters()).toHaveLength(1)
    expect(await cloud.keys('.matting/failed/')).toEqual([])
    expect(cloud.cos.bill()).toEqual([])
    expect((await ci('POST')).status).toBe(200)
  })
})

describe('time', () => {
  it('that does not suffice for all records hands the event back, and nothing is paid twice', async () => {
    const cloud = await startForTest({ timeout: 30, environment: { CLAIM_TIME: '60' } })
    const keys = ['uploads/a.jpg', 'uploads/b.jpg', 'uploads/c.jpg']
    for (const [i, key] of keys.entries()) await putQuietly(cloud, key, await photo(`#2${i}40b0`))
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const Records = keys.map((key) => ({
      cos: { cosObject: { key: `/1250000000/photos/${key}` }, cosBucket: { name: 'photos', appid: '1250000000' } },
      event: { eventName: 'cos:ObjectCreated:Put' },
    }))
    await cloud.scf.push('upload', { Records })
    // Each call takes twelve of the thirty seconds.
    for (let i = 0; i < 3; i++) {
      await held(cloud)
      cloud.clock.advance(12_000)
      cloud.faults.release()
    }
    await cloud.scf.idle()
    expect(cloud.scf.invocations().map(({ retry }) => retry)).toEqual([0, 1])
    expect(await cloud.keys('cutouts/')).toHaveLength(3)
    expect(cloud.cos.bill()).toHaveLength(3)
    expect(cloud.scf.deadLetters()).toEqual([])
    expect(
      cloud.scf
        .invocations()
        .map(({ outcome }) => outcome)
        .filter((one) => one === 'timeout'),
    ).toEqual([])
  })
})

describe('trouble', () => {
  it('a lost answer is not a failure: the cutout is there, and is not paid again', async () => {
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'lose-answer', times: 1 }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('that lasts ends as a dead letter after two retries, and costs nothing', async () => {
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/receipts/', kind: 'error' }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['error', 'error', 'error'])
    const [letter, ...more] = cloud.scf.deadLetters()
    expect([letter?.function, more]).toEqual(['upload', []])
    expect(JSON.parse(letter?.Body.ClientContext ?? '')).toMatchObject({ Records: [{ cos: {} }] })
    expect(cloud.cos.bill()).toEqual([])
  })

  it.each(['error', 'reset', 'slow-down'] as const)('of free calls (%s) is mended on the spot', async (kind) => {
    cloud.faults.set([{ on: 'HeadObject', kind, times: 2 }])
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(cloud.scf.invocations().map(({ outcome }) => outcome)).toEqual(['ok'])
    expect(cloud.cos.bill()).toHaveLength(1)
  })
})

describe('promise 5', () => {
  it('no log line holds a signature, a token, a secret or an Authorization', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.upload('uploads/fake.jpg', Buffer.from('not an image'))
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'slow-down', times: 9 }])
    await cloud.upload('uploads/other.jpg', await photo('#2040b0'))
    const logs = cloud.scf.invocations().flatMap((run) => run.logs)
    expect(logs.length).toBeGreaterThanOrEqual(3)
    expect(logs.join('\n')).not.toMatch(/q-sign|q-ak|signature|authorization|token|secret|local-role/i)
  })
})
