import { createHash, randomUUID } from 'node:crypto'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { leaveToPut } from '../docs/recipes/presign-upload.ts'
import { readConfig } from '../lib/config.ts'
import { type Cos, createCos } from '../lib/cos.ts'
import type { Invocation } from '../lib/invocation.ts'
import { plain } from '../lib/layout.ts'
import { paid } from '../lib/paid.ts'
import { type PresignedUpload, presignUpload, putPhoto } from '../lib/pay/pay.ts'
import { BUCKET, CREDENTIALS, REGION, UPLOAD } from '../local/cloud.ts'
import {
  ask,
  claimsOf,
  held,
  lapse,
  look,
  looks,
  photo,
  putQuietly,
  receiptsOf,
  startForTest,
  type TestCloud,
} from './helpers/cloud.ts'

const KEY = 'uploads/mug.jpg'
const card = { center: true, dx: 20, dy: 10 }
const md5 = (body: Buffer) => createHash('md5').update(body).digest('hex')

/** What a server, or the one that signs for a browser, works with. */
function partsOf(cloud: TestCloud, settings: Record<string, string> = {}, cos: Cos = owner(cloud)): Invocation {
  const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: cloud.cosUrl, CLAIM_TIME: '6' }
  const { now } = cloud.clock
  const deadline = now() + 20_000
  const config = readConfig({ ...place, ...settings })
  return {
    config,
    cos,
    store: cos,
    now,
    random: Math.random,
    uuid: randomUUID,
    deadline,
    spent: { ms: new Map(), calls: 0 },
  }
}

function owner({ cosUrl: endpoint, clock: { now } }: TestCloud): Cos {
  const deadline = now() + 20_000
  return createCos({ endpoint, credentials: CREDENTIALS, deadline, now, random: Math.random })
}

/** How often CI was asked, by method. */
const methods = (cloud: TestCloud) => cloud.cos.bill().map(({ method }) => method)

describe('an upload by a server', () => {
  it('makes the cutouts on the way, where the trigger that follows finds them', async () => {
    const cloud = await startForTest()
    const body = await photo()
    expect(await putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain, card])).toEqual({
      etag: md5(body),
      paid: 2,
    })
    expect(await cloud.bytes(KEY)).toEqual(body)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload', 'upload'])
    const [log = ''] = cloud.scf.invocations().flatMap(({ logs }) => logs)
    expect(JSON.parse(log)).toMatchObject({ outcome: 'cut', paid: 0 })
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('hit')
    expect(await receiptsOf(cloud)).toMatchObject([
      { receipt: { asker: 'upload', outcome: 'bought' }, billed: [expect.any(String), expect.any(String)] },
    ])
    // The same again: nothing to pay, and stored all the same.
    expect(await putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain, card])).toMatchObject({ paid: 0 })
    await cloud.scf.idle()
    expect(methods(cloud)).toHaveLength(2)
  })

  it('and the trigger, whoever is first, pay once', async () => {
    const cloud = await startForTest()
    const body = await photo()
    // Its own event, and an earlier one of the same photo, come while CI is at work.
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const uploading = putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])
    await held(cloud)
    await cloud.bucket.put(KEY, body, { type: 'image/jpeg' })
    await looks(cloud)
    cloud.faults.release()
    expect(await uploading).toMatchObject({ paid: 1 })
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload'])

    const other = await photo('#2040b0')
    await putQuietly(cloud, KEY, other)
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
    const asking = ask(cloud, 3, `/plain/${KEY}`)
    await held(cloud)
    expect(await putPhoto(partsOf(cloud), KEY, { body: other, type: 'image/jpeg' }, [plain])).toMatchObject({ paid: 0 })
    cloud.faults.release()
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
  ] as const)('promise 1: %s of the answer loses no photo and pays nothing twice', async (kind, paid, expected) => {
    const cloud = await startForTest()
    const body = await photo()
    cloud.faults.set([{ on: 'GoodsMatting', kind, times: 1 }])
    expect(await putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({ paid })
    expect(await cloud.bytes(KEY)).toEqual(body)
    if (paid === 0) {
      await looks(cloud)
      lapse(cloud)
    }
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(expected)
    expect(await cloud.keys('cutouts/')).toHaveLength(1)
  })

  it('that is blank is paid once, for all layouts', async () => {
    const cloud = await startForTest()
    const body = await sharp({ create: { width: 50, height: 50, channels: 3, background: '#eee' } })
      .jpeg()
      .toBuffer()
    await putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])
    await cloud.scf.idle()
    for (const layout of ['plain', 'card']) expect((await cloud.image(`/${layout}/${KEY}`)).status).toBe(422)
    expect(methods(cloud)).toEqual(['upload'])
  })

  it('by somebody who may not use Cloud Infinite leaves the paying to the trigger', async () => {
    const cloud = await startForTest()
    cloud.faults.set([{ on: 'PutObject', prefix: KEY, kind: 'error', code: 'AccessDenied', times: 1 }])
    const body = await photo()
    expect(await putPhoto(partsOf(cloud), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({ paid: 0 })
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['cloud'])
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('does not put an older photo over a newer one', async () => {
    const cloud = await startForTest()
    const [older, newer] = [await photo(), await photo('#2040b0')]
    const cos = owner(cloud)
    // It lay there before, too: what lies there now does not tell whether the older one was ever stored.
    await putQuietly(cloud, KEY, newer)
    // Just after the older one is stored, somebody else puts the newer one.
    const slow: Cos = {
      ...cos,
      [paid]: {
        ...cos[paid],
        async upload(...args) {
          const original = await cos[paid].upload(...args)
          await cos.put(KEY, newer, { type: 'image/jpeg' })
          return original
        },
      },
    }
    await putPhoto(partsOf(cloud, {}, slow), KEY, { body: older, type: 'image/jpeg' }, [plain])
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
    expect(await putPhoto(partsOf(cloud, settings), KEY, { body, type: 'image/jpeg' }, [plain])).toMatchObject({
      paid: 0,
    })
    expect(await cloud.bytes(KEY)).toEqual(body)
    expect(cloud.cos.bill()).toEqual([])
  })
})

describe('an upload by a browser', () => {
  interface Wish {
    key?: string
    md5?: string
    seconds?: number
    settings?: Record<string, string>
  }

  async function signedFor(
    cloud: TestCloud,
    body: Buffer,
    { key = KEY, seconds = 60, settings = {}, ...other }: Wish = {},
  ) {
    const what = { key, md5: md5(body), type: 'image/jpeg', size: body.length, ...other }
    return presignUpload(partsOf(cloud, settings), what, [plain, card], UPLOAD, seconds)
  }
  const put = ({ url, headers }: PresignedUpload, body: Buffer, more = {}) =>
    fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body: new Uint8Array(body) })
  const granted = (signed: PresignedUpload | undefined): PresignedUpload => signed ?? { url: '', headers: {} }

  it('with a signed PUT makes the cutouts on the way; the trigger waits for them', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const signed = granted(await signedFor(cloud, body, { md5: md5(body).toUpperCase() }))
    expect((await put(signed, body)).status).toBe(200)
    await cloud.scf.idle()
    expect(methods(cloud)).toEqual(['upload', 'upload'])
    expect(await cloud.bytes(KEY)).toEqual(body)
    const [cutout = ''] = await cloud.keys('cutouts/')
    expect((await look(await cloud.bytes(cutout))).alpha).toEqual([0, 255])
    expect(await receiptsOf(cloud)).toMatchObject([
      { receipt: { asker: 'presigned' }, billed: [expect.any(String), expect.any(String)] },
    ])
    // As long as the PUT may be sent, and then half as long as a claim usually holds.
    const [claim = ''] = await claimsOf(cloud)
    expect(JSON.parse((await cloud.bucket.get(claim))?.body ?? '')).toMatchObject({ seconds: 60 + 3 })
  })

  it('is what the recipe makes', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const env = {
      ...{
        COS_BUCKET: BUCKET,
        COS_REGION: REGION,
        COS_ENDPOINT: cloud.cosUrl,
        PRESETS: 'plain=; card=center-layout=1',
      },
      ...{ TENCENTCLOUD_SECRETID: CREDENTIALS.secretId, TENCENTCLOUD_SECRETKEY: CREDENTIALS.secretKey },
    }
    const what = { key: KEY, md5: md5(body), type: 'image/jpeg', size: body.length }
    expect((await put(granted(await leaveToPut(env, UPLOAD, what, ['card'])), body)).status).toBe(200)
    expect(cloud.cos.bill()).toMatchObject([{ method: 'upload', rule: 'ci-process=GoodsMatting&center-layout=1' }])
    await expect(leaveToPut(env, UPLOAD, what, ['nope'])).rejects.toMatchObject({ code: 'bad-layout' })
  })

  it('promise 4: is good for this new photo, in time, and as it was signed', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const other = await photo('#2040b0')
    const secret = { type: 'text/plain' }
    await cloud.bucket.put('private/ledger.txt', 'top secret', secret)
    const signed = granted(await signedFor(cloud, body))
    const { 'pic-operations': operations = '', ...without } = signed.headers
    const tries: [Record<string, string>, Buffer][] = [
      [{ ...signed.headers, 'pic-operations': operations.replace('plain.png', 'other.png') }, body],
      [without, body],
      [{ ...signed.headers, 'x-cos-forbid-overwrite': 'false' }, body],
      [{ ...signed.headers, 'content-type': 'text/html' }, body],
      [{ ...signed.headers, 'content-md5': createHash('md5').update(other).digest('base64') }, other],
      [signed.headers, other],
      [signed.headers, Buffer.concat([body, body])],
      // A copy of whatever the key that signs may read, which is nothing.
      [
        { ...signed.headers, 'x-cos-copy-source': `${BUCKET}.cos.${REGION}.myqcloud.com/private/ledger.txt` },
        Buffer.alloc(0),
      ],
      [{ ...signed.headers, 'x-cos-copy-source': `${BUCKET}.cos.${REGION}.myqcloud.com/private/ledger.txt` }, body],
    ]
    for (const [headers, bytes] of tries)
      expect((await put({ url: signed.url, headers }, bytes)).status).toBeGreaterThanOrEqual(400)
    expect(await cloud.keys('uploads/')).toEqual([])
    expect(cloud.cos.bill()).toEqual([])
    expect((await put(signed, body)).status).toBe(200)
    expect((await put(signed, body)).status).toBe(409)
    await cloud.scf.idle()
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('ends with its seconds; a trigger that comes without it takes over when the claim has run out', async () => {
    const cloud = await startForTest()
    const body = await photo()
    const signed = granted(await signedFor(cloud, body, { seconds: 1 }))
    cloud.clock.advance(2_000)
    expect((await put(signed, body)).status).toBe(403)
    const uploaded = cloud.upload(KEY, body)
    await looks(cloud)
    lapse(cloud)
    await uploaded
    expect(methods(cloud)).toEqual(['cloud'])
    expect(cloud.scf.deadLetters()).toEqual([])
  })

  it('is none where there is nothing to be made or paid for: to a plain one anybody could add Pic-Operations', async () => {
    const cloud = await startForTest()
    const body = await photo()
    expect(await signedFor(cloud, body)).toBeDefined()
    expect(await signedFor(cloud, body)).toBeUndefined()
    const another = await photo('#2040b0')
    expect(await signedFor(cloud, another, { settings: { DAILY_LIMIT: '0' } })).toBeUndefined()
    expect(await signedFor(cloud, another, { settings: { MAX_SOURCE_BYTES: '9' } })).toBeUndefined()
    expect(await signedFor(cloud, another, { key: 'elsewhere/a.jpg' })).toBeUndefined()
    expect(await claimsOf(cloud)).toHaveLength(2)
  })

  it.each<[Wish]>([
    [{ md5: '' }],
    [{ md5: 'zz' }],
    [{ seconds: 0 }],
    [{ seconds: 1.5 }],
    [{ seconds: Number.NaN }],
    [{ seconds: 901 }],
  ])('is refused for %j, before anything is claimed', async (wrong) => {
    const cloud = await startForTest()
    await expect(signedFor(cloud, await photo(), wrong)).rejects.toMatchObject({ code: 'bad-request' })
    expect(cloud.cos.requests()).toEqual([])
  })

  it('leaves no claim behind where its receipt could not be written', async () => {
    const cloud = await startForTest()
    const body = await photo()
    cloud.faults.set([{ on: 'PutObject', prefix: '.matting/receipts/', kind: 'error', code: 'AccessDenied' }])
    await expect(signedFor(cloud, body)).rejects.toMatchObject({ code: 'denied' })
    cloud.faults.set([])
    expect(await signedFor(cloud, body)).toBeDefined()
  })
})
