import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
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
/** What the next list of photos waits for. */
let gate: Promise<void> | undefined
beforeAll(async () => {
  cloud = await startTestCloud({ clock: { ...clock, now: () => still ?? clock.now() } })
  // As in a browser, whose addresses are relative to the page.
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    if (path.includes('after=')) await gate
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
  still = undefined
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
    await photos.loadMore()
    expect(photos.keys.value).toEqual(keys)
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
    photos.forget()
    expect(photos.keys.value).toEqual([])
    await put('swap.jpg', '#208040')
    await photos.reload()
    expect(seen.map((etag) => etag !== undefined)).toEqual([true, false, true, false, true])
    expect(new Set(seen).size).toBe(4)
  })
})

describe('the pictures of the page', () => {
  it('are fetched for whoever waits, though the first who asked for one has gone', async () => {
    const waiting: (() => void)[] = []
    let asked = 0
    const server = createServer((_, response) => {
      asked++
      waiting.push(() => response.writeHead(200, { 'content-type': 'image/png' }).end('a picture'))
      if (asked > 4) waiting.forEach((go) => void go())
    })
    onTestFinished(() => void server.close().closeAllConnections())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const pictures = createPictures(() => 'nobody answers')
    const need = { urgent: false, recent: false, wanted: () => true }
    // So many at a time.
    const first = [1, 2, 3, 4].map((n) => pictures.fetch(`${n}`, `${url}${n}`, need))
    await expect.poll(() => asked).toBe(4)
    let isOpen = true
    const gone = pictures.fetch('sheet', `${url}sheet`, { ...need, wanted: () => isOpen })
    const alone = pictures.fetch('alone', `${url}alone`, { ...need, wanted: () => isOpen })
    isOpen = false
    const again = pictures.fetch('sheet', `${url}sheet`, need)
    for (const go of waiting.splice(0)) go()
    await expect(alone).rejects.toMatchObject({ name: 'AbortError' })
    expect(await again).toMatchObject({ bytes: 9, type: 'image/png' })
    expect(await gone).toBe(await again)
    await Promise.all(first)
    expect(asked).toBe(5)
  })
})
