import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { HttpResponse } from '../functions/image/event.ts'
import { image } from '../functions/image/image.ts'
import { imageUrl } from '../lib/access.ts'
import { type Environment, readConfig } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import { MattingError } from '../lib/errors.ts'
import { lookAt } from '../lib/external.ts'
import { CREDENTIALS } from '../local/cloud.ts'
import { codeOf, photo, putQuietly, startForTest, type TestCloud } from './helpers/cloud.ts'

// Who judges when a signed URL ends: COS's clock, and never an instance's.
const SECRET = '0123456789abcdef'
const SIGNED = { ACCESS: 'signed', URL_KEYS: `shop:${SECRET}`, DETECT_HOSTS: 'pictures.example' }
const ELSEWHERE = 'http://pictures.example/mug.jpg'

/** Path and query of a URL that ends in so many seconds by COS's clock. */
function signed(cloud: TestCloud, key: string, seconds: number): string {
  const expires = Math.floor(cloud.clock.now() / 1000) + seconds
  return imageUrl('', { layout: 'plain', key, expires }, 'shop', SECRET)
}

/** A cloud with a photo, and a host of pictures elsewhere, which counts who asks it. */
async function start(environment: Record<string, string> = {}, skew = 0) {
  const picture = await photo()
  let visits = 0
  const server = createServer((_, response) => {
    visits++
    response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': picture.length }).end(picture)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const hosts = new Map([['pictures.example', port]])
  const cloud = await startForTest({
    instances: 1,
    hosts,
    environment: { REDIRECT_TTL: '300', ...SIGNED, ...environment },
  })
  await putQuietly(cloud, 'uploads/mug.jpg', picture)
  cloud.faults.set([{ on: 'Instance', kind: 'skew', ms: skew }])
  const before = cloud.cos.requests().length
  const asked = () => cloud.cos.requests().slice(before)
  return { cloud, asked, visits: () => visits }
}

const MINUTES = 60_000
const DAYS = 86_400_000

describe('an instance whose clock is wrong', () => {
  // With days between them, COS does not even answer before its time is known.
  const tries = (skew: number) => (Math.abs(skew) < DAYS ? 1 : 2)

  it.each([
    [-10 * MINUTES, 'stored'],
    [-10 * MINUTES, 'direct'],
    [10 * MINUTES, 'stored'],
    [-2 * DAYS, 'stored'],
    [2 * DAYS, 'stored'],
  ])('by %i ms: an expired signed URL pays nothing, and no picture’s host is asked (%s)', async (skew, DELIVERY) => {
    const { cloud, asked, visits } = await start({ DELIVERY }, skew)
    expect(codeOf(await cloud.image(`${signed(cloud, 'uploads/mug.jpg', -1)}x`))).toBe('bad-signature')
    expect(asked()).toEqual([])
    for (const [i, key] of ['uploads/mug.jpg', ELSEWHERE, 'uploads/none.jpg'].entries()) {
      expect(codeOf(await cloud.image(signed(cloud, key, -1)))).toBe('expired')
      expect(asked()).toHaveLength((i + 1) * tries(skew))
    }
    expect(new Set(asked().map(({ operation }) => operation))).toEqual(new Set(['HeadObject']))
    expect([cloud.cos.bill(), visits()]).toEqual([[], 0])
  })

  it.each([-10 * MINUTES, 10 * MINUTES, -2 * DAYS, 2 * DAYS])(
    'by %i ms: a good signed URL is not refused, be it warm or not',
    async (skew) => {
      const { cloud, visits } = await start({}, skew)
      for (const key of ['uploads/mug.jpg', ELSEWHERE]) {
        for (const how of ['made', 'hit'])
          expect((await cloud.image(signed(cloud, key, 60))).headers['x-matting']).toBe(how)
      }
      // The vendor has visited it, too.
      expect([cloud.cos.bill().length, visits()]).toEqual([2, 2])
      const asked = cloud.cos.requests().length
      expect((await cloud.image(signed(cloud, 'uploads/mug.jpg', 60))).status).toBe(302)
      expect(cloud.cos.requests()).toHaveLength(asked)
      expect(codeOf(await cloud.image(signed(cloud, 'uploads/mug.jpg', -1)))).toBe('expired')
      expect(cloud.cos.requests()).toHaveLength(asked + tries(skew))
    },
  )
})

it('a signed URL that was in time is answered, though its time is over when the cutout is made', async () => {
  const { cloud } = await start({ CLAIM_TIME: '60' })
  cloud.faults.set([{ on: 'GoodsMatting', kind: 'hold' }])
  const asking = cloud.image(signed(cloud, 'uploads/mug.jpg', 10))
  await expect.poll(() => cloud.faults.held()).toHaveLength(1)
  cloud.clock.advance(10_000)
  cloud.faults.release()
  const { status, headers } = await asking
  expect([status, headers['x-matting'], headers['cache-control']]).toEqual([302, 'made', 'public, max-age=0'])
})

it('a stranger with one URL cannot have a picture elsewhere fetched, and cut out, again and again by forced reloads', async () => {
  const { cloud, visits } = await start()
  const url = signed(cloud, ELSEWHERE, 60)
  expect((await cloud.image(url)).headers['x-matting']).toBe('made')
  // A look, and the vendor.
  expect(visits()).toBe(2)
  const headers = { 'cache-control': 'no-cache' }
  for (const method of ['GET', 'HEAD'])
    expect((await cloud.image(url, { method, headers })).headers['x-matting']).toBe('hit')
  expect(visits()).toBe(2)
})

describe('a warm instance', () => {
  /** An instance in this process, with its clocks in hand. */
  async function instance(environment: Record<string, string> = {}) {
    const { cloud } = await start()
    await cloud.upload('uploads/mug.jpg', await photo())
    const off = { wall: 0, steady: 0 }
    const now = () => cloud.clock.now() + off.wall
    const env: Environment = {
      ...{ COS_BUCKET: 'photos-1250000000', COS_REGION: 'ap-guangzhou', COS_ENDPOINT: cloud.cosUrl },
      ...SIGNED,
      ...environment,
    }
    const config = readConfig(env)
    const known = new Map()
    const ask = async (path: string) => {
      const network = { credentials: CREDENTIALS, deadline: now() + 30_000, now, random: Math.random }
      const cos = createCos({ endpoint: cloud.cosUrl, ...network })
      const lookup = () => {}
      const elsewhere = { hosts: [], maxBytes: 1, lookup, now, deadline: network.deadline }
      const parts = {
        ...{ config, cos, store: cos, known, uuid: () => 'id', spent: { ms: new Map(), calls: 0 } },
        ...{ now, steady: () => cloud.clock.now() + off.steady, random: Math.random, deadline: network.deadline },
        lookAt: (url: URL) => lookAt(url, elsewhere),
      }
      const before = cloud.cos.requests().length
      const answer = await image(new Request(`http://function${path}`), parts).catch(MattingError.from)
      return { answer, calls: cloud.cos.requests().length - before }
    }
    return { cloud, ask, off }
  }

  const lives = (answer: HttpResponse | MattingError): number =>
    answer instanceof MattingError
      ? -1
      : [...(answer.headers['cache-control'] ?? '').matchAll(/=(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0)

  it.each([
    ['corrected, having been behind', -10 * MINUTES, 0, 0],
    ['corrected, having been ahead', 10 * MINUTES, 0, 0],
    ['spoilt, having been right', 0, -2 * DAYS, 0],
    ['frozen, its steady one not', 0, -2 * MINUTES, 0],
    ['right while the steady one was frozen', 0, 0, -2 * MINUTES],
  ])('whose clock is %s asks COS, and is right', async (_, before, after, steady) => {
    const { cloud, ask, off } = await instance()
    off.wall = before
    const url = signed(cloud, 'uploads/mug.jpg', 60)
    await ask(url)
    expect(await ask(url)).toMatchObject({ answer: { status: 302 }, calls: 0 })
    Object.assign(off, { wall: after, steady })
    const { answer, calls } = await ask(url)
    expect(calls).toBeGreaterThan(0)
    if (answer instanceof MattingError) throw answer
    // Its own time is over by then for COS as well.
    expect((await fetch(answer.headers.location ?? '')).status).toBe(200)
    expect(lives(answer)).toBeGreaterThan(0)
    expect(lives(answer)).toBeLessThanOrEqual(60)
    cloud.clock.advance(60_000)
    expect((await ask(url)).answer).toMatchObject({ code: 'expired' })
  })

  it('hands out no redirect that outlives its URL’s signature by a fraction of a second', async () => {
    const { cloud, ask } = await instance()
    const end = Math.floor(cloud.clock.now() / 1000) + 20
    const url = imageUrl('', { layout: 'plain', key: 'uploads/mug.jpg', expires: end }, 'shop', SECRET)
    // COS's dates are whole seconds: what is left of one is not told.
    cloud.clock.advance((1_700 - (cloud.clock.now() % 1_000)) % 1_000)
    await ask(url)
    for (let i = 0; i < 20; i++) {
      const now = cloud.clock.now()
      const { answer } = await ask(url)
      expect(now / 1000 + lives(answer)).toBeLessThanOrEqual(end)
      expect(lives(answer)).toBeGreaterThan(0)
      cloud.clock.advance(100)
    }
  })

  it('hands out no redirect that outlives its URL’s signature by what COS’s answer took', async () => {
    const { cloud, ask, off } = await instance()
    const end = Math.floor(cloud.clock.now() / 1000) + 20
    const url = imageUrl('', { layout: 'plain', key: 'uploads/mug.jpg', expires: end }, 'shop', SECRET)
    const before = cloud.cos.requests().length
    // From when COS has answered, three seconds are gone for the instance, and for the world.
    for (const clock of ['wall', 'steady'] as const)
      Object.defineProperty(off, clock, { get: () => (cloud.cos.requests().length > before ? 3_000 : 0) })
    const earliest = cloud.clock.now() + 3_000
    const { answer } = await ask(url)
    expect(lives(answer)).toBeGreaterThan(0)
    expect(earliest / 1000 + lives(answer)).toBeLessThanOrEqual(end)
  })
})
