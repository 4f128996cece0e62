import { hash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createClock } from '../local/clock.ts'
import type { Photos } from '../local/page/wire.ts'
import { photo, putQuietly, type TestCloud } from './helpers/cloud.ts'
import { createSpeaker, NASTY, query, startInside } from './helpers/inside.ts'

const KEY = 'uploads/mug.jpg'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startInside({ SOURCE_PREFIXES: 'uploads/, uploads/new/, more/' }, { clock: createClock() })
})
afterAll(() => cloud.close())
beforeEach(() => cloud.reset())
afterEach(() => cloud.faults.set([]))

const { ask, one } = createSpeaker(() => cloud)
const list = async (asked: Record<string, string> = {}) => (await ask<Photos>('GET', `/api/photos${query(asked)}`)).json

/** Puts photos that nobody cuts out. */
async function put(keys: readonly string[]): Promise<void> {
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  for (let i = 0; i < keys.length; i += 50)
    await Promise.all(keys.slice(i, i + 50).map((key) => cloud.bucket.put(key, 'x', { type: 'image/jpeg' })))
}

describe('the list of photos', () => {
  it('shows each once where one source folder lies in another, all at once and page by page', async () => {
    const keys = ['more/a.jpg', NASTY, 'uploads/a.jpg', 'uploads/new/b.jpg', 'uploads/z.jpg']
    await put(keys)
    const all = await list({ limit: '5' })
    expect([all.photos.map(({ key }) => key).sort(), all.after]).toEqual([keys, undefined])
    const seen: string[] = []
    let after: string | undefined = ''
    while (after !== undefined && seen.length < 9) {
      const page: Photos = await list({ after, limit: '1' })
      seen.push(...page.photos.map(({ key }) => key))
      after = page.after
    }
    expect(seen.sort()).toEqual(keys)
  })

  it('begins nowhere else than where a page has ended', async () => {
    expect((await ask('GET', '/api/photos?after=uploads/a.jpg')).status).toBe(400)
  })

  it('goes on behind a photo that was deleted after its page was shown', async () => {
    await put(['uploads/a.jpg', 'uploads/b.jpg', 'uploads/c.jpg'])
    const first = await list({ limit: '2' })
    await cloud.bucket.delete(first.photos[1]?.key ?? '')
    const second = await list({ after: first.after ?? '' })
    const keys = [first.photos[0], ...second.photos].map((photo) => photo?.key)
    expect([second.photos.length, new Set(keys).size]).toEqual([1, 2])
    expect(await cloud.keys('uploads/')).toEqual(keys.sort())
  })

  it('has pages of a length that can be read and shown, whatever is asked for', async () => {
    const keys = Array.from({ length: 501 }, (_, i) => `uploads/${1000 + i}.jpg`)
    await put(keys)
    for (const [limit, length] of [
      ['501', 500],
      ['', 60],
      ['x', 60],
      ['2.9', 2],
      ['-1', 1],
      ['1e300', 500],
    ] as const) {
      expect([limit, (await list({ limit })).photos.length]).toEqual([limit, length])
    }
    expect((await list()).photos).toHaveLength(60)
    const first = await list({ limit: '500' })
    const second = await list({ after: first.after ?? '', limit: '500' })
    const found = [...first.photos, ...second.photos].map(({ key }) => key)
    expect([second.photos.length, second.after, found.sort()]).toEqual([1, undefined, keys])
  })
})

describe('a photo in the list', () => {
  it('of over 32 MiB, which the vendor makes no smaller, is shown as it is', async () => {
    await put([KEY])
    expect((await one(KEY)).small).toContain('thumbnail')
    await cloud.bucket.put(KEY, Buffer.alloc(32 * 1024 * 1024 + 1), { type: 'image/jpeg' })
    const larger = await one(KEY)
    expect(larger.small).toBe(larger.photoUrl)
    expect(larger.photoUrl).not.toContain('thumbnail')
  })

  it('has a URL that a browser may keep for a quarter of an hour, and that works as long again', async () => {
    const quarter = 900_000
    await put([KEY])
    cloud.clock.advance(quarter - (cloud.clock.now() % quarter))
    const first = await one(KEY)
    cloud.clock.advance(600_000)
    expect(await one(KEY)).toEqual(first)
    // Now the page shows it, and goes on to show it.
    cloud.clock.advance(1_100_000)
    expect((await fetch(first.photoUrl)).status).toBe(200)
    const next = await one(KEY)
    expect(next.photoUrl).not.toBe(first.photoUrl)
    cloud.clock.advance(200_000)
    expect([(await fetch(first.photoUrl)).status, (await fetch(next.photoUrl)).status]).toEqual([403, 200])
  })

  it('does not show the views that are kept beside its cutout as cutouts', async () => {
    await cloud.upload(KEY, await photo())
    expect((await cloud.image(`/plain,width=40,background=ff0000/${KEY}`)).status).toBe(302)
    const kept = await cloud.keys(`cutouts/${KEY}/`)
    expect(kept).toEqual([expect.stringMatching(/-plain\.png$/), expect.stringMatching(/-plain\/.*\.png$/)])
    expect((await one(KEY)).cutouts.map(({ layout, key }) => [layout, key])).toEqual([['plain', kept[0]]])
  })

  it('has its cutout still when it is stored again as it was', async () => {
    await cloud.upload(KEY, await photo())
    cloud.clock.advance(60_000)
    await putQuietly(cloud, KEY, await photo())
    expect((await one(KEY)).cutouts).toMatchObject([{ layout: 'plain' }])
  })

  it('has the cutout that an older version made of it, but none that was there before it', async () => {
    const body = await photo()
    const older = `cutouts/${KEY}/${hash('md5', body).slice(0, 16)}-plain.png`
    await cloud.bucket.put(older, 'x', { type: 'image/png' })
    cloud.clock.advance(1_000)
    await putQuietly(cloud, KEY, body)
    expect((await one(KEY)).cutouts).toEqual([])
    await cloud.bucket.put(older, 'x', { type: 'image/png' })
    expect((await one(KEY)).cutouts).toMatchObject([{ layout: 'plain', key: older }])
  })
})
