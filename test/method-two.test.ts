import { createHash, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../lib/config.ts'
import { type Cos, createCos } from '../lib/cos.ts'
import { plain } from '../lib/layout.ts'
import { type Parts, presignUpload, upload } from '../lib/pay.ts'
import { BUCKET, CREDENTIALS, REGION } from '../local/cloud.ts'
import { ask, claimsOf, look, photo, putQuietly, receiptsOf, startForTest, type TestCloud } from './helpers/cloud.ts'

const KEY = 'uploads/mug.jpg'
const card = { center: true, dx: 20, dy: 10 }
const md5 = (body: Buffer) => createHash('md5').update(body).digest('hex')

/** What a server, or the one that signs for a browser, works with. */
function partsOf(cloud: TestCloud, settings: Record<string, string> = {}, cos: Cos = owner(cloud)): Parts {
  const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl, CLAIM_TIME: '6' }
  const deadline = Date.now() + 20_000
  const config = readConfig({ ...place, ...settings })
  return {
    config,
    cos,
    store: cos,
    now: Date.now,
    random: Math.random,
    uuid: randomUUID,
    deadline,
    spent: { ms: new Map(), calls: 0 },
  }
}

function owner({ cosUrl: endpoint }: TestCloud): Cos {
  const deadline = Date.now() + 20_000
  return createCos({ endpoint, credentials: CREDENTIALS, deadline, now: Date.now, random: Math.random })
}

/** How often CI was asked, by method. */
const methods = (cloud: TestCloud) => cloud.cos.bill().map(({ method }) => method)

describe('an upload by a server', () => {
  it('makes the cutouts on the way, where the trigger that follows finds them', async () => {
    const cloud = await startForTest()
    const body = await photo()
    expect(await upload(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain, card])).toEqual({
      etag: md5(body),
      paid: 2,
    })
    expect(await cloud.bytes(KEY)).toEqual(body)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload', 'upload'])
    const [log = ''] = cloud.scf.invocations().flatMap(({ logs }) => logs)
    expect(JSON.parse(log)).toMatchObject({ outcome: 'cut', paid: 0 })
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('hit')
    expect(await receiptsOf(cloud)).toMatchObject([{ receipt: { asker: 'upload', outcome: 'bought' }, billed: 2 }])
    // The same again: nothing to pay, and stored all the same.
    expect(await upload(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain, card])).toMatchObject({ paid: 0 })
    await cloud.scf.idle()
    expect(methods(cloud)).toHaveLength(2)
  })

  it('and the trigger, whoever is first, pay once', async () => {
    const cloud = await startForTest()
    const body = await photo()
    // Its own event, and an earlier one of the same photo, come while CI is at work.
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'delay', ms: 800 }])
    const uploading = upload(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])
    await expect.poll(() => claimsOf(cloud)).toHaveLength(1)
    await cloud.bucket.put(KEY, body, { type: 'image/jpeg' })
    expect(await uploading).toMatchObject({ paid: 1 })
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])

    const other = await photo('#2040b0')
    await putQuietly(cloud, KEY, other)
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'delay', ms: 800 }])
    const asking = ask(cloud, 3, `/plain/${KEY}`)
    await expect.poll(() => claimsOf(cloud)).toHaveLength(2)
    expect(await upload(partsOf(cloud), KEY, { body: other, type: 'image/jpeg' }, [plain])).toMatchObject({ paid: 0 })
    for (const { status } of await asking) expect(status).toBe(302)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload', 'cloud'])
  })

  it.each([
    ['lose-answer', 1, ['upload']],
    ['kill', 1, ['upload']],
    ['slow-down', 1, ['upload']],
    // Nothing was stored nor paid, but who knows: the trigger pays when the claim has run out.
    ['reset', 0, ['cloud']],
    ['error', 0, ['cloud']],
  ] as const)('promise 1: %s of the answer loses no photo and pays nothing twice', async (kind, paid, expected) => {
    const cloud = await startForTest()
    const body = await photo()
    cloud.faults.set([{ on: 'GoodsMatting', kind, times: 1 }])
    expect(await upload(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({ paid })
    expect(await cloud.bytes(KEY)).toEqual(body)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(expected)
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
  })

  it('does not put an older photo over a newer one', async () => {
    const cloud = await startForTest()
    const [older, newer] = [await photo(), await photo('#2040b0')]
    const cos = owner(cloud)
    // Just after the older one is stored, somebody else puts the newer one.
    const slow: Cos = {
      ...cos,
      async upload(...args) {
        await cos.upload(...args)
        await cos.put(KEY, newer, { type: 'image/jpeg' })
      },
    }
    await upload(partsOf(cloud, {}, slow), KEY, { body: older, type: 'image/jpeg' }, [plain])
    expect(await cloud.bytes(KEY)).toEqual(newer)
  })

  it.each([
    ['no image', {}, Buffer.from('no image')],
    ['too large', { MAX_SOURCE_BYTES: '100' }, undefined],
    ['DAILY_LIMIT', { DAILY_LIMIT: '0' }, undefined],
  ])('is stored also where nothing can be made: %s', async (_, settings, given) => {
    const cloud = await startForTest()
    const body = given ?? (await photo())
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    expect(await upload(partsOf(cloud, settings), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({
      paid: 0,
    })
    expect(await cloud.bytes(KEY)).toEqual(body)
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('an upload by a browser', () => {
  async function signedFor(cloud: TestCloud, body: Buffer, seconds = 300) {
    const what = { key: KEY, md5: md5(body), type: 'image/jpeg', size: body.length }
    return presignUpload(partsOf(cloud), what, [plain, card], seconds)
  }
  const put = (url: string, headers: Record<string, string>, body: Buffer) =>
    fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) })

  it('with a signed PUT makes the cutouts on the way; the trigger waits for them', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const { url, headers } = await signedFor(cloud, body)
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'delay', ms: 500 }])
    expect((await put(url, headers, body)).status).toBe(200)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload', 'upload'])
    expect(await cloud.bytes(KEY)).toEqual(body)
    const [cutout = ''] = await cloud.keys('cutouts/')
    expect((await look(await cloud.bytes(cutout))).alpha).toEqual([0, 255])
    expect(await receiptsOf(cloud)).toMatchObject([{ receipt: { asker: 'presigned' }, billed: 2 }])
  })

  it('promise 4: is good for this photo, once, in time, and as it was signed', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const { url, headers } = await signedFor(cloud, body)
    const { 'pic-operations': operations = '', ...without } = headers
    for (const [changed, bytes] of [
      [{ ...headers, 'pic-operations': operations.replace('plain.png', 'other.png') }, body],
      [without, body],
      [{ ...headers, 'x-cos-forbid-overwrite': 'false' }, body],
      [{ ...headers, 'content-md5': Buffer.from(md5(Buffer.from('x')), 'hex').toString('base64') }, Buffer.from('x')],
      [headers, await photo('#2040b0')],
    ] as const) {
      expect((await put(url, changed, bytes)).status).toBeGreaterThanOrEqual(400)
    }
    expect(await cloud.keys('uploads/')).toEqual([])
    expect(cloud.cos.bill()).toEqual([])
    expect((await put(url, headers, body)).status).toBe(200)
    expect((await put(url, headers, body)).status).toBe(409)
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(2)
    const late = await presignUpload(
      partsOf(cloud),
      { key: 'uploads/b.jpg', md5: md5(body), type: 'image/jpeg', size: 1 },
      [plain],
      -2,
    )
    expect((await put(late.url, late.headers, body)).status).toBe(403)
  })

  it('is a plain one where the cutouts are there, or somebody is making them', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const first = await signedFor(cloud, body)
    expect(Object.keys(first.headers)).toContain('pic-operations')
    const second = await signedFor(cloud, body)
    expect(Object.keys(second.headers)).not.toContain('pic-operations')
    expect((await put(second.url, second.headers, body)).status).toBe(200)
  })
})
