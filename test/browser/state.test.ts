import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClock } from '../../local/clock.ts'
import { createApi } from '../../local/page/api.ts'
import { createPhotos } from '../../local/page/photos.ts'
import { createPictures } from '../../local/page/picture.ts'
import { photo, startTestCloud, type TestCloud } from '../helpers/cloud.ts'

let cloud: TestCloud
const { fetch } = globalThis
const clock = createClock()
/** The moment at which time stands still. */
let still: number | undefined
/** What lists of photos wait for. */
let gate: Promise<void> | undefined
beforeAll(async () => {
  cloud = await startTestCloud({ clock: { ...clock, now: () => still ?? clock.now() } })
  // As in a browser, whose addresses are relative to the page.
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    if (path.startsWith('/api/photos?')) await gate
    return fetch(new URL(path, cloud.controlUrl), init)
  })
})
afterAll(async () => {
  vi.unstubAllGlobals()
  await cloud.close()
})
beforeEach(async () => {
  await cloud.reset()
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
})
afterEach(() => {
  still = gate = undefined
  cloud.faults.set([])
})

const put = async (name: string, colour?: string) => {
  cloud.clock.advance(1_000)
  await cloud.bucket.put(`uploads/${name}`, await photo(colour), { type: 'image/jpeg' })
}
const remove = (name: string) => cloud.bucket.delete(`uploads/${name}`)

/** More photos than a page holds, the first of which are shown. */
async function many() {
  const names = Array.from({ length: 26 }, (_, i) => `${i + 10}.jpg`)
  for (const name of names) await put(name)
  const photos = createPhotos(
    createApi(() => ''),
    () => {},
  )
  await photos.reload()
  expect([photos.keys.value.length, photos.more.value]).toEqual([24, true])
  return { photos, keys: names.reverse().map((name) => `uploads/${name}`) }
}

describe('the photos of the page', () => {
  it('that come or go while older ones are loaded are not lost, nor there again', async () => {
    const { photos, keys } = await many()
    let open = () => {}
    gate = new Promise((resolve) => {
      open = resolve
    })
    const loading = photos.loadMore()
    await put('new.jpg')
    await remove('35.jpg')
    for (const name of ['new.jpg', '35.jpg']) await photos.look(`uploads/${name}`)
    open()
    await loading
    expect(photos.keys.value).toEqual(['uploads/new.jpg', ...keys.slice(1)])
    expect(photos.more.value).toBe(false)
  })

  it('are in the order of the list, whichever of them is heard of first, though they came in one moment', async () => {
    const photos = createPhotos(
      createApi(() => ''),
      () => {},
    )
    await put('older.jpg')
    still = clock.now() + 5_000
    for (const name of ['b.jpg', 'a.jpg', 'c.jpg']) await put(name)
    for (const name of ['b', 'c', 'older', 'a']) await photos.look(`uploads/${name}.jpg`)
    still += 5_000
    const order = async (...names: string[]) => {
      const keys = names.map((name) => `uploads/${name}.jpg`)
      expect(photos.keys.value).toEqual(keys)
      const listed = createPhotos(
        createApi(() => ''),
        () => {},
      )
      await listed.reload()
      expect(listed.keys.value).toEqual(keys)
    }
    await order('a', 'b', 'c', 'older')
    // Stored again it is the newest.
    await put('c.jpg')
    await photos.look('uploads/c.jpg')
    await order('c', 'a', 'b', 'older')
  })

  it('that are older than those that are shown come when they are asked for', async () => {
    const { photos, keys } = await many()
    await photos.look(keys[25] ?? '')
    expect(photos.keys.value).toEqual(keys.slice(0, 24))
    await Promise.all([photos.loadMore(), photos.loadMore()])
    expect(photos.keys.value).toEqual(keys)
    await photos.reload()
    expect(photos.keys.value).toEqual(keys.slice(0, 24))
  })

  it('are not known to be none while nobody answers', async () => {
    const photos = createPhotos(
      createApi(() => 'nobody answers'),
      () => {},
    )
    const told = () => [photos.known.value, photos.trouble.value]
    gate = Promise.reject(new TypeError())
    await photos.reload()
    expect(told()).toEqual([false, 'nobody answers'])
    gate = undefined
    await photos.reload()
    expect(told()).toEqual([true, undefined])
  })

  it('are told of when they have a cutout, or never will, and no stage is shown of them any more', async () => {
    const finished: string[] = []
    const photos = createPhotos(
      createApi(() => ''),
      ({ key, cutouts }) => finished.push(`${key} ${cutouts.length}`),
    )
    const key = 'uploads/mug.jpg'
    cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold', times: 1 }])
    await cloud.bucket.put(key, await photo(), { type: 'image/jpeg' })
    await expect.poll(() => cloud.faults.held()).toEqual([key])
    await photos.reload()
    photos.stage(key).set('mask')
    await photos.look(key)
    expect([photos.stage(key).value, finished]).toEqual(['mask', []])
    cloud.faults.release()
    await cloud.scf.idle()
    for (let i = 0; i < 2; i++) await photos.look(key)
    expect([photos.stage(key).value, finished]).toEqual([undefined, [`${key} 1`]])
    photos.stage(key).set('mask')
    await cloud.bucket.delete(key)
    await photos.look(key)
    expect([photos.stage(key).value, photos.keys.value]).toEqual([undefined, []])
  })

  it('are watched on by who shows them, though one was deleted and came again, or all were', async () => {
    const photos = createPhotos(
      createApi(() => ''),
      () => {},
    )
    await put('swap.jpg')
    await photos.reload()
    const seen: (string | undefined)[] = []
    const end = new AbortController()
    const look = () => photos.look('uploads/swap.jpg')
    photos.photo('uploads/swap.jpg').watch(end.signal, (now) => seen.push(now?.etag))
    await remove('swap.jpg')
    await look()
    await put('swap.jpg', '#2040b0')
    await look()
    photos.stage('uploads/swap.jpg').set('mask')
    photos.forget()
    expect([photos.keys.value, photos.stage('uploads/swap.jpg').value]).toEqual([[], undefined])
    await put('swap.jpg', '#208040')
    await photos.reload()
    expect(seen.map((etag) => etag !== undefined)).toEqual([true, false, true, false, true])
    expect(new Set(seen).size).toBe(4)
  })
})

describe('the pictures of the page', () => {
  const waiting: { url: string; anew: boolean; answer: (status: number) => void }[] = []
  const server = createServer(({ url = '', headers }, response) => {
    const answer = (status: number) => void response.writeHead(status, { 'content-type': 'image/png' }).end('a picture')
    waiting.push({ url, anew: headers['cache-control'] === 'no-cache', answer })
  })
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => void server.close().closeAllConnections())

  /** As many as are fetched at a time are under way. */
  async function begin() {
    const { port } = server.address() as AddressInfo
    const image = async (key: string) => ({ url: `http://127.0.0.1:${port}/${key}`, recent: key === 'soon' })
    const pictures = createPictures(image, () => 'nobody answers')
    const ask = (key: string, more = {}) =>
      pictures.fetch({ key, etag: '' }, 'plain', { urgent: false, wanted: () => true, ...more })
    const first = Promise.all(['1', '2', '3', '4'].map((id) => ask(id)))
    await expect.poll(() => waiting.length).toBe(4)
    return { ask, first }
  }
  const answer = (status = 200) => {
    for (const one of waiting.splice(0)) one.answer(status)
  }
  const next = async () => {
    await expect.poll(() => waiting.length).toBeGreaterThan(0)
    return waiting.map(({ url }) => url)
  }

  it('are fetched for whoever waits, though the first who asked for one has gone', async () => {
    const { ask, first } = await begin()
    let isOpen = true
    const gone = ask('sheet', { wanted: () => isOpen })
    const alone = ask('alone', { wanted: () => isOpen })
    isOpen = false
    const again = ask('sheet')
    answer()
    await expect(alone).rejects.toMatchObject({ name: 'AbortError' })
    expect(await next()).toEqual(['/sheet'])
    answer()
    expect(await again).toMatchObject({ bytes: 9, type: 'image/png' })
    expect(await gone).toBe(await again)
    await first
  })

  it('come the urgent ones first, four at a time, and again after a failure', async () => {
    const { ask, first } = await begin()
    const [slow, soon] = [ask('slow'), ask('soon', { urgent: true })]
    waiting.shift()?.answer(200)
    await expect.poll(() => waiting.map(({ url, anew }) => `${url} ${anew}`)).toContain('/soon true')
    expect([waiting.length, waiting.filter(({ anew }) => anew).length]).toEqual([4, 1])
    answer()
    await Promise.all([first, soon])
    expect(await next()).toEqual(['/slow'])
    answer(422)
    await expect(slow).rejects.toThrow('422')
    const others = ['slow', '5', '6', '7'].map((id) => ask(id))
    await expect.poll(() => waiting.length).toBe(4)
    answer()
    await Promise.all(others)
  })
})
