import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { ImageAnswer, Photos } from '../local/page/wire.ts'
import { photo, putQuietly, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { authorization } from './helpers/cos.ts'
import { createSpeaker, query, startInside } from './helpers/inside.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({
    SOURCE_PREFIXES: 'uploads/, cards/, both/, idle/',
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
    ON_UPLOAD: 'uploads/: plain, cards/: card, both/: plain, card',
  })
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, listen } = createSpeaker(() => cloud)

describe('an upload', () => {
  it.each([
    ['x.gif', 'image/gif'],
    ['x.svg', 'image/svg+xml'],
    ['x.heic', 'image/heic'],
    ['x.jpg', 'text/html'],
    ['no-ending', ''],
  ])('of what is never cut out is not let vanish in the bucket: %s of type %s', async (name, type) => {
    const { length: size } = await photo()
    const { status, json } = await ask('POST', '/api/uploads', { name, type, size, way: 'plain' })
    expect([status, json.error]).toEqual([415, expect.stringContaining('JPEG')])
  })
})

describe('an image URL that the page hands out', () => {
  it('has no widths where DELIVERY=direct has no views', async () => {
    const direct = await startTestCloud({ environment: { DELIVERY: 'direct' } })
    onTestFinished(() => direct.close())
    await direct.bucket.put('uploads/a.jpg', await photo(), { type: 'image/jpeg' })
    const { ask } = createSpeaker(() => direct)
    const { json } = await ask<ImageAnswer>('GET', '/api/image?key=uploads/a.jpg&text=plain')
    expect([json.widths, json.img.includes('srcset')]).toEqual([[], false])
  })

  const key = 'cards/mug.jpg'
  const works = async (url: string) => (await fetch(url.replaceAll('&#38;', '&'))).status

  it('of a photo whose only layout is no plain one is that of its cutout, and pays nothing', async () => {
    await cloud.upload(key, await photo())
    await cloud.image(`/center-layout=1/${key}`)
    await cloud.image(`/padding-layout=3x0,center-layout=1/${key}`)
    const shown = await one(key)
    expect(shown.cutouts.map(({ layout, text }) => [layout, text])).toEqual([
      ['c1-p20x10', 'card'],
      ['c1-p3x0', 'center-layout=1,padding-layout=3x0'],
      ['c1', 'center-layout=1'],
    ])
    for (const { text } of shown.cutouts) {
      const { json } = await ask<ImageAnswer>('GET', `/api/image${query({ key, text: `${text},width=40` })}`)
      expect(await works(json.url)).toBe(200)
    }
    expect(cloud.cos.bill()).toHaveLength(3)
  })

  it('works, with each width beside it, or is refused, whatever its words are', async () => {
    await cloud.upload(key, await photo())
    const texts = [
      '',
      'card',
      'card,width=40',
      'width=40,format=webp',
      'width=40',
      'center-layout=1',
      'tile',
      'tile,width=160',
    ]
    const refused = [
      'plain,plain',
      'card,center-layout=1',
      'c1-p20x10',
      ',',
      'plain,',
      'plain,width=5',
      'plain,width=40,width=50',
    ]
    for (const text of texts) {
      const { status, json } = await ask<ImageAnswer>('GET', `/api/image${query({ key, text })}`)
      expect([text, status]).toEqual([text, 200])
      const [srcset = ''] = json.img.match(/(?<=srcset=").*?(?=")/) ?? []
      const urls = srcset.split(', ').map((one) => one.replace(/ .*/, ''))
      expect([text, urls.length]).toEqual([text, json.widths.length])
      for (const url of [json.url, ...urls]) expect([text, url, await works(url)]).toEqual([text, url, 200])
    }
    for (const text of refused) {
      const { status } = await ask('GET', `/api/image${query({ key, text })}`)
      expect([text, status]).toEqual([text, 400])
      expect((await cloud.image(`/${encodeURIComponent(text)}/${key}`)).status).toBe(400)
    }
  })
})

describe('the meter', () => {
  const meter = async () => (await ask('GET', '/api/meter')).json

  it('counts no HEAD as a call saved, for none would have been paid', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    for (const method of ['HEAD', 'HEAD', 'GET']) await cloud.image('/plain/uploads/mug.jpg', { method })
    expect(await meter()).toMatchObject({ paid: 1, saved: 1 })
  })

  it('counts a cutout once though it was paid for twice, and another version of its photo anew', async () => {
    const key = 'idle/mug.jpg'
    const rules = JSON.stringify({ rules: [{ fileid: '/try/mug.png', rule: 'ci-process=GoodsMatting' }] })
    const signed = authorization({ method: 'POST', path: `/${key}`, id: 'local-id', secret: 'local-secret' })
    const headers = { authorization: signed, 'pic-operations': rules }
    const store = () => fetch(`${cloud.cosUrl}/${key}?image_process`, { method: 'POST', headers })
    const seconds = Math.floor(cloud.clock.now() / 1000)
    const url = cloud.bucket.presign(key, seconds - 60, seconds + 60, { query: { 'ci-process': 'GoodsMatting' } })
    // It is stored nowhere.
    const deliver = () => fetch(url)
    await putQuietly(cloud, key, await photo())
    for (const cut of [store, store, deliver, deliver]) expect((await cut()).status).toBe(200)
    expect(await meter()).toMatchObject({ paid: 4, cutouts: 2 })
    await putQuietly(cloud, key, await photo('#2040b0'))
    await deliver()
    expect(await meter()).toMatchObject({ paid: 5, cutouts: 3 })
  })

  it('shows no calls of before a reset, whoever resets', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.image('/plain/uploads/mug.jpg')
    await cloud.reset()
    expect(await meter()).toEqual({ paid: 0, cutouts: 0, saved: 0, processing: { calls: 0, bytes: 0 } })
  })
})

describe('a page that is open', () => {
  it('is told of a reset, or it would show photos and calls that are gone', async () => {
    await cloud.upload('uploads/mug.jpg', await photo())
    const live = await listen()
    await ask('POST', '/api/reset')
    await expect.poll(() => live.of('reset')).toEqual([{}])
    await expect.poll(() => live.of('meter').at(-1)).toMatchObject({ paid: 0 })
  })
})

describe('a photo for which nothing is under way', () => {
  const waits = async (key: string) => (await one(key)).waiting

  it('is not shown as being cut out for ever: its event was given up, skipped, or never came', async () => {
    const key = 'uploads/mug.jpg'
    const live = await listen()
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    expect(await waits(key)).toBe(true)
    expect((await ask<Photos>('GET', '/api/photos')).json.photos[0]?.waiting).toBe(true)
    cloud.faults.set([{ on: 'HeadObject', kind: 'error', code: 'AccessDenied' }])
    cloud.clock.advance(3_600_000)
    await cloud.scf.idle()
    const [told] = cloud.scf.deadLetters()
    expect(told).toBeDefined()
    await expect.poll(() => live.of('photo').length).toBeGreaterThan(0)
    expect([await waits(key), (await ask<Photos>('GET', '/api/photos')).json.photos[0]?.waiting]).toEqual([
      false,
      false,
    ])
    cloud.faults.set([])
    await cloud.upload('idle/mug.jpg', await photo())
    expect(await waits('idle/mug.jpg')).toBe(false)
    await cloud.bucket.put(key, await photo('#2030b0'), { type: 'image/jpeg' })
    await cloud.scf.idle()
    cloud.faults.set([{ on: 'Event', kind: 'delay', ms: 3_600_000 }])
    await cloud.bucket.delete(key)
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    // What waits is about the photo that was deleted.
    expect(await waits(key)).toBe(false)
  })
})
