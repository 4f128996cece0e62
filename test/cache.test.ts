import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { imageUrl } from '../lib/access.ts'
import { etagPart } from '../lib/cutout.ts'
import { type Answer, codeOf, photo, putQuietly, send, startForTest, type TestCloud } from './helpers/cloud.ts'
import { nginx, startNginx } from './helpers/nginx.ts'

// A real cache, configured as docs/recipes/nginx.conf says, in front of the function URL.
interface Cached extends TestCloud {
  /** One request through the cache. */
  ask(path: string, method?: string, headers?: Record<string, string>): Promise<Answer>
  /** So many at the same moment. */
  herd(path: string, times: number): Promise<Answer[]>
  /** How often the image function ran. */
  runs(): number
}

async function startCached(environment: Record<string, string>, instances = 3): Promise<Cached> {
  const cloud = await startForTest({ environment: { REDIRECT_TTL: '300', ...environment }, instances })
  const origin = await startNginx('nginx.conf', { FUNCTION_URL: cloud.imageUrl })
  const [agent, crowd] = [new Agent({ keepAlive: true, maxSockets: 20 }), new Agent({ maxSockets: 1_000 })]
  onTestFinished(() => {
    for (const one of [agent, crowd]) one.destroy()
  })
  const ask: Cached['ask'] = (path, method = 'GET', headers = {}) => send(origin, path, method, headers, agent)
  const herd = (path: string, times: number) =>
    Promise.all(Array.from({ length: times }, () => send(origin, path, 'GET', {}, crowd)))
  await expect.poll(() => ask('/healthz').catch(() => undefined)).toMatchObject({ status: 200 })
  const before = cloud.scf.invocations().length
  const runs = () =>
    cloud.scf
      .invocations()
      .slice(before)
      .filter((run) => run.function === 'image').length
  return { ...cloud, ask, herd, runs }
}

/** Seconds that an answer may be kept: fresh, and then stale for as long as it is asked for again. */
function lives({ headers }: Answer): number[] {
  return [...(headers['cache-control'] ?? '').matchAll(/=(\d+)/g)].map(([, seconds]) => Number(seconds))
}

const SECRET = 'sixteen-characters-and-more'
const SIGNED = { ACCESS: 'signed', URL_KEYS: `key:${SECRET}` }

/** Path and query of a URL that ends at so many seconds. */
function signed(expires: number): string {
  return imageUrl('', { layout: 'plain', key: 'uploads/mug.jpg', expires }, 'key', SECRET)
}

describe.skipIf(!nginx)('behind nginx', () => {
  it('of 400 requests for 20 pictures, 20 reach the function; HEAD still pays for nothing', async () => {
    // Long enough for the slowest machine.
    const cloud = await startCached({ REDIRECT_TTL: '600' })
    const paths = Array.from({ length: 20 }, (_, i) => `uploads/a%20${i}.jpg`)
    await Promise.all(paths.map(async (path) => cloud.upload(decodeURI(path), await photo())))
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => cloud.ask(`/plain/${paths[i % 20]}`)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([302]))
    expect(new Set(answers.map(({ headers }) => headers.location)).size).toBe(20)
    expect(cloud.runs()).toBe(20)
    await putQuietly(cloud, 'uploads/new.jpg', await photo('#2040b0'))
    expect(await cloud.ask('/plain/uploads/new.jpg', 'HEAD')).toMatchObject({ status: 404 })
    expect(cloud.cos.bill()).toHaveLength(20)
  })

  it('follows a photo that is replaced, once REDIRECT_TTL has passed', async () => {
    const cloud = await startCached({ REDIRECT_TTL: '2' })
    const version = async (colour: string) => {
      await cloud.upload('uploads/mug.jpg', await photo(colour))
      return etagPart((await cloud.bucket.head('uploads/mug.jpg'))?.etag ?? '')
    }
    const location = async () => (await cloud.ask('/plain/uploads/mug.jpg')).headers.location ?? ''
    const before = await version('#b03020')
    expect(await location()).toContain(before)
    const after = await version('#2040b0')
    await expect.poll(location, { interval: 200 }).toContain(after)
    expect((await fetch(await location())).headers.get('content-type')).toBe('image/png')
    expect(cloud.cos.bill()).toHaveLength(2)
  })

  it('keeps no error for longer than for those who asked at the same time', async () => {
    const cloud = await startCached({ REDIRECT_TTL: '600' })
    await cloud.upload('uploads/mug.jpg', await photo())
    expect(codeOf(await cloud.ask('/plain/uploads/new.jpg'))).toBe('not-found')
    await cloud.upload('uploads/new.jpg', await photo())
    await expect.poll(() => cloud.ask('/plain/uploads/new.jpg'), { interval: 200 }).toMatchObject({ status: 302 })
    cloud.faults.set([{ on: 'HeadObject', kind: 'error' }])
    expect(await cloud.ask('/plain/uploads/mug.jpg')).toMatchObject({ status: 503 })
    cloud.faults.set([])
    expect(await cloud.ask('/plain/uploads/mug.jpg')).toMatchObject({ status: 302, headers: { 'x-cache': 'MISS' } })
  })

  it('a herd on what there is not waits for one answer, and not each for the one before', async () => {
    const cloud = await startCached({})
    cloud.faults.set([{ on: 'HeadObject', kind: 'hold' }])
    const herd = cloud.herd('/plain/uploads/nope.jpg', 100)
    await expect.poll(() => cloud.faults.held()).toHaveLength(1)
    cloud.faults.set([])
    expect(new Set((await herd).map(codeOf))).toEqual(new Set(['not-found']))
    // By a machine that takes seconds to let them all in, some come too late.
    expect(cloud.runs()).toBeLessThan(10)
  })

  it('a signed viewer does not wait behind strangers, nor is answered as they are', async () => {
    const cloud = await startCached(SIGNED, 2)
    await cloud.upload('uploads/mug.jpg', await photo())
    const now = Math.floor(Date.now() / 1000)
    cloud.faults.set([{ on: 'HeadObject', kind: 'hold' }])
    // Asked at the same time, both instances know it, and need not look again for the viewer.
    const warm = [300, 301].map((seconds) => cloud.image(signed(now + seconds)))
    await expect.poll(() => cloud.faults.held()).toHaveLength(2)
    cloud.faults.release()
    for (const answer of warm) expect(await answer).toMatchObject({ status: 302 })
    const told: string[] = []
    const stranger = cloud.ask(signed(now - 1)).then((answer) => told.push(String(codeOf(answer))))
    await expect.poll(() => cloud.faults.held()).toHaveLength(1)
    expect(codeOf(await cloud.ask(signed(now + 300).replace(/\?.*/, '')))).toBe('bad-signature')
    expect(await cloud.ask(signed(now + 300))).toMatchObject({ status: 302 })
    expect(told).toEqual([])
    cloud.faults.set([])
    await stranger
    expect(told).toEqual(['expired'])
  })

  it('a herd on an uncut photo is one paid call, and one GET of the function', async () => {
    const cloud = await startCached({ REDIRECT_TTL: '600' })
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    const answers = await cloud.herd('/plain/uploads/mug.jpg', 300)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([302]))
    expect(cloud.cos.bill()).toHaveLength(1)
    expect(cloud.runs()).toBeLessThan(30)
  })

  it('a herd on an entry that is stale waits for nobody, while one asks anew', async () => {
    const cloud = await startCached({ REDIRECT_TTL: '60' }, 1)
    await cloud.upload('uploads/mug.jpg', await photo())
    await cloud.image('/plain/uploads/mug.jpg')
    // So that it is fresh for two seconds more, and stale for a minute.
    cloud.clock.advance(57_500)
    const first = await cloud.ask('/plain/uploads/mug.jpg')
    const [fresh = 0, stale] = lives(first)
    expect(stale).toBe(60)
    await sleep(fresh * 1_000 + 1_100)
    cloud.faults.set([{ on: 'HeadObject', kind: 'hold' }])
    const before = cloud.runs()
    const answers = await cloud.herd('/plain/uploads/mug.jpg', 200)
    expect(new Set(answers.map(({ headers }) => headers.location))).toEqual(new Set([first.headers.location]))
    await expect.poll(() => cloud.faults.held()).not.toHaveLength(0)
    expect(cloud.runs() - before).toBe(1)
  })

  it('a herd on an entry that has ended with its signature reaches the function once', async () => {
    const cloud = await startCached(SIGNED)
    await cloud.upload('uploads/mug.jpg', await photo())
    const end = Math.ceil(Date.now() / 1000) + 4
    expect(await cloud.ask(signed(end))).toMatchObject({ status: 302 })
    await sleep(end * 1_000 - Date.now())
    const herds = [403, 302].map((status, i) => ({ status, url: signed(end + 600 * i) }))
    for (const { url, status } of herds) {
      const before = cloud.runs()
      const answers = await cloud.herd(url, 200)
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([status]))
      // Once a second, until it has answered.
      expect(cloud.runs() - before).toBeLessThan(20)
    }
  })

  it('hands a direct redirect, which is a paid call, to nobody but who has signed for it', async () => {
    const cloud = await startCached({ ...SIGNED, DELIVERY: 'direct' }, 1)
    await putQuietly(cloud, 'uploads/mug.jpg', await photo())
    const now = Math.floor(Date.now() / 1000)
    const first = await cloud.ask(signed(now + 300))
    expect(first).toMatchObject({ status: 302, headers: { 'cache-control': 'private, no-store' } })
    for (let i = 0; i < 5; i++) {
      const stranger = await cloud.ask(signed(now + 300).replace(/\?.*/, ''))
      if (stranger.headers.location) await fetch(stranger.headers.location)
      expect([stranger.status, codeOf(stranger)]).toEqual([403, 'bad-signature'])
    }
    expect(cloud.cos.bill()).toEqual([])
    // The function remembers what it saw all the same.
    const asked = cloud.cos.requests().length
    expect((await cloud.ask(signed(now + 301))).status).toBe(302)
    expect(cloud.cos.requests()).toHaveLength(asked)
    expect((await fetch(first.headers.location ?? '')).status).toBe(200)
    expect(cloud.cos.bill()).toHaveLength(1)
  })

  it('keeps one entry for all signed URLs of a picture, no longer than the one that made it lives', async () => {
    const cloud = await startCached({ ...SIGNED, REDIRECT_TTL: '3600' })
    await cloud.upload('uploads/mug.jpg', await photo())
    const now = Math.floor(Date.now() / 1000)
    for (const path of [signed(now - 1), `${signed(now + 300)}x`])
      expect(await cloud.ask(path)).toMatchObject({ status: 403, headers: { 'x-cache': 'MISS' } })
    const first = await cloud.ask(signed(now + 300))
    expect(first).toMatchObject({ status: 302, headers: { 'x-cache': 'MISS' } })
    const [fresh = 0, stale = 0] = lives(first)
    expect(fresh).toBeGreaterThan(0)
    expect(fresh + stale).toBeLessThanOrEqual(300)
    // Until nginx's own Date would be another one.
    await sleep(1_100)
    for (const path of [signed(now + 900), signed(now + 300).replace(/\?.*/, '')]) {
      const { 'x-cache': _, ...same } = first.headers
      expect(await cloud.ask(path)).toMatchObject({ status: 302, headers: { ...same, 'x-cache': 'HIT' } })
    }
    expect(cloud.runs()).toBe(3)
  })
  it('keeps a redirect with format=auto once for each format, whatever Accept is sent', async () => {
    const environment = { PRESETS: 'auto: width 20, format auto', AVIF: 'on', REDIRECT_TTL: '600' }
    const cloud = await startCached(environment, 1)
    await cloud.upload('uploads/mug.jpg', await photo())
    const accepts: [accept: string | undefined, format: string][] = [
      ['image/avif,image/webp,image/apng,*/*;q=0.8', 'avif'],
      ['text/html, image/webp;q=0.9, */*', 'webp'],
      ['image/webp', 'webp'],
      ['image/webp;q=0', 'png'],
      ['image/webp ; q=0.0, image/avif;q=0', 'png'],
      ['image/avif;q=0,image/webp;q=0.5', 'webp'],
      ['image/png,*/*', 'png'],
      ['image/webpx', 'png'],
      [undefined, 'png'],
    ]
    // Headers that differ in what does not matter.
    const many = accepts.flatMap(([accept, format]) =>
      ['', ',text/html', ', image/png;q=0.3', ',a/b;q=1'].map((more) => [accept && accept + more, format] as const),
    )
    for (const [accept, format] of many) {
      const { headers } = await cloud.ask('/auto/uploads/mug.jpg', 'GET', accept ? { accept } : {})
      const found = /format%2F(\w+)/.exec(headers.location ?? '')?.[1] ?? 'png'
      expect([accept, found, headers.vary]).toEqual([accept, format, 'accept'])
    }
    // AVIF with WebP beside it, and AVIF alone, may be asked for apart.
    expect(cloud.runs()).toBeLessThanOrEqual(4)
  })
})
