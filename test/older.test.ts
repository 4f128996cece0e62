import { hash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { upload } from '../functions/upload/upload.ts'
import { readConfig } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import { cutoutKey, olderKeys } from '../lib/cutout.ts'
import { plain } from '../lib/layout.ts'
import { codeOf, photo, putQuietly, quietSource, startForTest } from './helpers/cloud.ts'
import { BUCKET, ID, REGION, SECRET, startLab } from './helpers/cos.ts'

/** Photos of a red and of a blue disc whose MD5 begin with the same 16 digits: 20 s of one core, once. */
const read = (name: string) => readFileSync(new URL(`fixtures/same-start-${name}.jpg`, import.meta.url))
const [red, blue] = [read('red'), read('blue')]
const KEY = 'uploads/mug.jpg'

/** What is in the middle of the disc. */
async function colour(picture: Buffer): Promise<'red' | 'blue'> {
  const [r = 0, , b = 0] = await sharp(picture).extract({ left: 50, top: 44, width: 1, height: 1 }).raw().toBuffer()
  return r > b ? 'red' : 'blue'
}

describe('a photo put over another whose MD5 begins with the same 16 digits', () => {
  it('is two photos', async () => {
    const [a, b] = [hash('md5', red), hash('md5', blue)]
    expect([a === b, a.slice(0, 16) === b.slice(0, 16)]).toEqual([false, true])
    expect([await colour(red), await colour(blue)]).toEqual(['red', 'blue'])
  })

  it('is shown as itself', async () => {
    const cloud = await startForTest({ environment: { REDIRECT_TTL: '0' } })
    for (const [body, is] of [
      [red, 'red'],
      [blue, 'blue'],
    ] as const) {
      await cloud.upload(KEY, body)
      const { headers } = await cloud.image(`/plain/${KEY}`)
      const cutout = await fetch(headers.location ?? '')
      expect(await colour(Buffer.from(await cutout.arrayBuffer()))).toBe(is)
    }
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('is not found under the other’s older key, nor condemned by its older mark', async () => {
    const { cos, lab, see, later } = await startLater()
    await cos.put(KEY, red, { type: 'image/jpeg' })
    const [older = ''] = olderKeys('cutouts/', { key: KEY, etag: hash('md5', red) }, plain)
    await cos.put(older, red, { type: 'image/png' })
    expect(await see()).toMatchObject({ cutouts: [{ key: older, size: red.length, obtained: 'hit' }] })
    const mark = `.matting/failed/cutouts/${KEY}/${hash('md5', red).slice(0, 16)}.not-an-image.json`
    await cos.put(mark, '{}', { type: 'application/json' })
    expect(lab.bill()).toEqual([])
    later()
    await cos.put(KEY, blue, { type: 'image/jpeg' })
    const cutout = cutoutKey('cutouts/', { key: KEY, etag: hash('md5', blue) }, plain)
    expect(await see()).toMatchObject({ cutouts: [{ key: cutout, obtained: 'made' }] })
    expect(lab.bill()).toHaveLength(1)
    // What is newer than the photo is the photo's, as far as anybody can tell.
    later()
    for (const key of [cutout, older]) await cos.delete(key)
    await cos.put(mark, '{}', { type: 'application/json' })
    expect(await see()).toMatchObject({ outcome: 'failed', error: { code: 'not-an-image' } })
    expect(lab.bill()).toHaveLength(1)
  })
})

/** A local COS whose clock goes on when it is told to, and the upload function's look at the photo. */
async function startLater() {
  let now = Date.now()
  const lab = await startLab({ now: () => now })
  const credentials = { secretId: ID, secretKey: SECRET }
  const network = { credentials, deadline: Date.now() + 20_000, now: Date.now, random: Math.random }
  const cos = createCos({ endpoint: `http://127.0.0.1:${lab.port}`, ...network })
  const config = readConfig({ COS_BUCKET: BUCKET, COS_REGION: REGION })
  const tell = { announce: async () => {}, warn: () => {} }
  const parts = { config, cos, store: cos, uuid: randomUUID, spent: { ms: new Map(), calls: 0 }, ...tell, ...network }
  const see = async () => {
    const outcomes = upload([{ kind: 'created', keys: [KEY], bucket: BUCKET }], parts)
    return (await outcomes.next()).value
  }
  const later = () => {
    now += 1_000
  }
  return { cos, lab, see, later }
}

describe('what was made before 1.0', () => {
  it('is found under its older key, and not paid for again: one call more', async () => {
    const cloud = await startForTest({ environment: { REDIRECT_TTL: '0' } })
    const source = await quietSource(cloud)
    const [older = ''] = olderKeys('cutouts/', source, plain)
    expect(older).toMatch(/^cutouts\/uploads\/mug\.jpg\/[0-9a-f]{16}-plain\.png$/)
    await cloud.bucket.put(
      older,
      await sharp(await photo())
        .png()
        .toBuffer(),
      { type: 'image/png' },
    )
    const before = cloud.cos.requests().length
    const { headers } = await cloud.image(`/plain/${KEY}`)
    expect([headers['x-matting'], new URL(headers.location ?? '').pathname]).toEqual(['hit', `/${older}`])
    const operations = cloud.cos
      .requests()
      .slice(before)
      .map(({ operation, status }) => `${operation} ${status}`)
    expect(operations).toEqual(['HeadObject 200', 'GetObject 404', 'GetObject 206'])
    expect((await cloud.image(`/plain/${KEY}`, { method: 'HEAD' })).status).toBe(302)
    expect(cloud.cos.bill()).toEqual([])
    // In another layout there is none; that is looked at once.
    expect((await cloud.image(`/card/${KEY}`)).headers['x-matting']).toBe('made')
    const looks = cloud.cos.requests().filter(({ path }) => path.endsWith(older.replace('plain', 'c1-p20x10')))
    expect(looks.map(({ status }) => status)).toEqual([404])
  })

  it('keeps a photo that was noted from being paid for', async () => {
    const cloud = await startForTest()
    const source = await quietSource(cloud)
    for (const [name, code] of [
      ['', 'not-an-image'],
      ['-plain', 'refused'],
    ]) {
      const mark = `.matting/failed/cutouts/${KEY}/${source.etag.slice(0, 16)}${name}.${code}.json`
      await cloud.bucket.put(mark, '{}', { type: 'application/json' })
      expect(codeOf(await cloud.image(`/plain/${KEY}`))).toBe(code)
      await cloud.bucket.delete(mark)
    }
    expect(cloud.cos.requests().filter(({ operation }) => operation === 'ImageProcess')).toEqual([])
    expect((await cloud.image(`/plain/${KEY}`)).headers['x-matting']).toBe('made')
  })

  it('goes with its photo, if cutouts do', async () => {
    const cloud = await startForTest({ environment: { ON_DELETE: 'remove' } })
    // One of them lay in a folder of another name.
    const keys = [KEY, `uploads/${'k'.repeat(750)}.jpg`]
    for (const key of keys) {
      await putQuietly(cloud, key, Buffer.from('no image'))
      const etag = hash('md5', 'no image')
      const [older = ''] = olderKeys('cutouts/', { key, etag }, plain)
      for (const cutout of [older, cutoutKey('cutouts/', { key, etag }, plain)]) {
        await cloud.bucket.put(cutout, 'a cutout', { type: 'image/png' })
        const mark = cutout.replace('-plain.png', '.refused.json')
        await cloud.bucket.put(`.matting/failed/${mark}`, '{}', { type: 'application/json' })
      }
      await cloud.bucket.delete(key)
      await cloud.scf.idle()
      expect(await cloud.keys('')).toEqual([])
    }
  })
})
