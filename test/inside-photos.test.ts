import { hash } from 'node:crypto'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { encode } from '../lib/sign.ts'
import type { ImageAnswer, Photos } from '../local/page/wire.ts'
import { photo, putQuietly, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker, NASTY, query, startInside } from './helpers/inside.ts'

const URL_KEY = '0123456789abcdef'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({
    // Anybody may ask, so nothing is signed by it.
    URL_KEYS: `shop:${URL_KEY}`,
    PRESETS: 'card: center-layout 1, padding-layout 20x10, tile: width 160|480, format webp',
    REDIRECT_TTL: '300',
  })
})
afterAll(() => cloud.close())
beforeEach(() => ask('POST', '/api/reset'))
afterEach(() => cloud.faults.set([]))

const { ask, one, configure } = createSpeaker(() => cloud)

describe('photos', () => {
  it('are listed in pages, the newest first, each with the cutouts of its version, and nothing else is', async () => {
    for (const key of ['uploads/b.jpg', 'uploads/a.jpg', NASTY]) {
      await cloud.upload(key, await photo())
      cloud.clock.advance(1_000)
    }
    await cloud.bucket.put('uploads/readme.txt', 'no photo', { type: 'text/plain' })
    await cloud.bucket.put('other/c.jpg', await photo(), { type: 'image/jpeg' })
    await cloud.image('/card/uploads/a.jpg')
    await cloud.image('/tile/uploads/a.jpg')
    await cloud.scf.idle()
    const asked = cloud.cos.requests().length
    const first = (await ask<Photos>('GET', '/api/photos?limit=2')).json
    expect(first.photos.map(({ key }) => key)).toEqual([NASTY, 'uploads/a.jpg'])
    const second = (await ask<Photos>('GET', `/api/photos${query({ after: first.after ?? '', limit: '2' })}`)).json
    expect(second.photos.map(({ key }) => key)).toEqual(['uploads/b.jpg'])
    expect(second.after).toBeUndefined()
    const [, a] = first.photos
    expect(await one('uploads/a.jpg')).toEqual(a)
    expect(a).toMatchObject({ type: 'image/jpeg', size: (await photo()).length, etag: hash('md5', await photo()) })
    expect(a?.cutouts.map(({ layout, key }) => [layout, key])).toEqual([
      ['c1-p20x10', `cutouts/uploads/a.jpg/${a?.etag}-c1-p20x10.png`],
      ['plain', `cutouts/uploads/a.jpg/${a?.etag}-plain.png`],
    ])
    // To look at them makes no request that anybody would see.
    expect(cloud.cos.requests()).toHaveLength(asked)
    expect(Buffer.from(await (await fetch(a?.photoUrl ?? '')).arrayBuffer())).toEqual(await photo())
    expect((await fetch(first.photos[0]?.small ?? '')).headers.get('content-type')).toBe('image/jpeg')
    // Where a page ends there is no photo any more, and a newer one came: the next page goes on all the same.
    await cloud.bucket.delete('uploads/a.jpg')
    await cloud.upload('uploads/c.jpg', await photo())
    const later = (await ask<Photos>('GET', `/api/photos${query({ after: first.after ?? '' })}`)).json
    expect(later.photos.map(({ key }) => key)).toEqual(['uploads/b.jpg'])
  })

  it('that replaces another has pictures of its own, which no browser takes for those of the other', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    const before = await one('uploads/a.jpg')
    await cloud.upload('uploads/a.jpg', await photo('#2030b0'))
    const after = await one('uploads/a.jpg')
    expect([after.small === before.small, after.photoUrl === before.photoUrl]).toEqual([false, false])
    expect((await fetch(after.small)).status).toBe(200)
    expect(await one('uploads/a.jpg')).toEqual(after)
  })

  it('of another version have the cutouts of that one alone', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    const blue = await photo('#2030b0')
    await cloud.bucket.put('uploads/a.jpg', blue, { type: 'image/jpeg' })
    // Its ETag begins with the same sixteen digits, as two photos can be made to.
    const like = `cutouts/uploads/a.jpg/${hash('md5', blue).slice(0, 16)}${'0'.repeat(16)}-plain.png`
    await cloud.bucket.put(like, 'x', { type: 'image/png' })
    expect((await one('uploads/a.jpg')).cutouts).toEqual([])
  })

  it('are deleted with their cutouts, as ON_DELETE says; and nothing else is', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    for (const key of ['uploads/b.jpg', (await cloud.keys('cutouts/'))[0] ?? '', '.matting/', '']) {
      const { status } = await ask('DELETE', `/api/photos${query({ key })}`)
      expect(status).toBe(404)
    }
    expect((await ask('DELETE', `/api/photos${query({ key: 'uploads/a.jpg' })}`)).status).toBe(200)
    await cloud.scf.idle()
    expect([await cloud.keys('uploads/'), await cloud.keys('cutouts/')]).toEqual([[], []])
    expect((await ask('GET', '/api/photo?key=uploads/a.jpg')).json).toEqual({})
  })
})

describe('GET /api/image', () => {
  const image = async (text: string, key = 'uploads/a.jpg') =>
    (await ask<ImageAnswer>('GET', `/api/image${query({ key, text })}`)).json
  it('gives a URL that works, and an element with the shape of the picture', async () => {
    await cloud.upload(NASTY, await photo())
    const { url, img, widths } = await image('plain,width=40,format=webp', NASTY)
    expect(url).toBe(`${cloud.imageUrl}/plain%2Cwidth%3D40%2Cformat%3Dwebp/${NASTY.split('/').map(encode).join('/')}`)
    expect((await fetch(url)).headers.get('content-type')).toBe('image/webp')
    expect(widths).toEqual([40, 80])
    expect(img).toContain('/plain%2Cformat%3Dwebp%2Cwidth%3D80/')
    expect(img).toContain('width="40" height="33"')
    expect(img).not.toContain('<img src=x')
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it.each([
    'plain,width=40,trim=1',
    'plain,width=40,trim=1,margin=8',
    'plain,width=30,trim=1,margin=40',
    'plain,height=25',
  ])('says the size that %s has', async (text) => {
    await cloud.upload('uploads/a.jpg', await photo())
    const { url } = await image(text)
    const { width, height } = await sharp(Buffer.from(await (await fetch(url)).arrayBuffer())).metadata()
    expect((await image(text)).img).toContain(`width="${width}" height="${height}"`)
  })

  it('says for how long caches may still lead to the cutout of a former photo', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    expect((await image('plain')).recent).toBe(true)
    // REDIRECT_TTL, and as long again while a cache asks anew.
    cloud.clock.advance(570_000)
    expect((await image('plain')).recent).toBe(true)
    cloud.clock.advance(60_000)
    expect((await image('plain')).recent).toBe(false)
  })

  it('has the widths of a preset, a size that is fixed, or nothing at all', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    expect((await image('tile')).widths).toEqual([160, 480])
    expect((await image('plain')).widths).toEqual([200, 400, 800])
    const fixed = await image('plain,width=40,height=30,fit=cover')
    expect([fixed.widths, fixed.img.includes('srcset'), fixed.img.includes('width="40" height="30"')]).toEqual([
      [],
      false,
      true,
    ])
    for (const text of ['nosuch', 'plain,width=x', 'padding-layout=x']) {
      const { status } = await ask('GET', `/api/image${query({ key: 'uploads/a.jpg', text })}`)
      expect([text, status]).toEqual([text, 400])
    }
  })

  it('is no wider than may be asked for, as large as it says, and of presets alone where ACCESS=presets', async () => {
    await cloud.upload('uploads/a.jpg', await photo())
    expect(await image('plain,width=3000')).toMatchObject({
      widths: [3000, 4096],
      sizes: '(max-width: 640px) 100vw, 3000px',
    })
    expect((await image('plain,width=40')).sizes).toBe('(max-width: 640px) 100vw, 40px')
    configure({ ACCESS: 'presets' })
    expect(await image('plain')).toMatchObject({ widths: [], img: expect.not.stringContaining('srcset') })
    expect((await image('tile')).widths).toEqual([160, 480])
  })

  it('is not said to have no height, however flat its cutout is', async () => {
    await putQuietly(cloud, 'uploads/a.jpg', await photo())
    const create = { width: 400, height: 2, channels: 4 as const, background: '#b03020' }
    const { etag } = await one('uploads/a.jpg')
    await cloud.bucket.put(`cutouts/uploads/a.jpg/${etag}-plain.png`, await sharp({ create }).png().toBuffer(), {
      type: 'image/png',
    })
    expect((await image('plain,width=40')).img).toContain('width="40" height="1"')
  })

  it('is signed where ACCESS=signed, and the key that signs is not told', async () => {
    const signed = await startTestCloud({ environment: { ACCESS: 'signed', URL_KEYS: `shop:${URL_KEY}` } })
    onTestFinished(() => signed.close())
    await signed.upload('uploads/a.jpg', await photo())
    const answer = await fetch(`${signed.controlUrl}/api/image?key=uploads/a.jpg&text=plain`)
    const text = await answer.text()
    const { url } = JSON.parse(text)
    expect([text.includes(URL_KEY), new URL(url).searchParams.get('kid')]).toEqual([false, 'shop'])
    expect((await fetch(url)).headers.get('content-type')).toBe('image/png')
    expect((await fetch(url.replace('a.jpg', 'b.jpg'))).status).toBe(403)
    // Also where the clock was moved, and for who puts a photo without a page.
    signed.clock.advance(2 * 86_400_000)
    const put = await fetch(`${signed.controlUrl}/uploads/c.jpg`, {
      method: 'PUT',
      body: new Uint8Array(await photo()),
    })
    const [, told = ''] = /cutout: (\S+)/.exec(await put.text()) ?? []
    expect((await fetch(told)).status).toBe(200)
  })
})
