import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, onTestFinished } from 'vitest'
import { type Cos, createCos } from '../../lib/cos.ts'
import { readReceipts } from '../../lib/pay/receipt.ts'
import { type Cloud, type CloudOptions, CREDENTIALS, startCloud } from '../../local/cloud.ts'
import type { RequestRecord } from '../../local/cos/cos.ts'
import { createMatte } from '../../local/matte/matte.ts'
import { remembering } from './remembering.ts'

/** The bucket, as its owner uses it. */
export interface Bucket {
  bucket: Cos
  /** The bytes of an object. */
  bytes(key: string): Promise<Buffer>
  /** Keys under a prefix, sorted. */
  keys(prefix: string): Promise<string[]>
}

export interface TestCloud extends Cloud, Bucket {
  data: string
  /** Ends the cloud, and leaves its folder. */
  stop(): Promise<void>
  /** Whether it has ended. */
  ended(): boolean
  /** Puts an object, and waits until its event has been handled. */
  upload(key: string, body: Buffer): Promise<void>
  /** Sends one request to the image function, with the path exactly as given. */
  image(path: string, options?: { method?: string; headers?: Record<string, string> }): Promise<Answer>
}

export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** One engine for all clouds of a process, because an engine's first cutout takes most of a second. It lets the process end. */
export const matte = remembering(createMatte({ workers: 1 }))

/** Short claims; and redirects that are not cached, so that an instance remembers nothing. */
const ENVIRONMENT = { CLAIM_TIME: '6', REDIRECT_TTL: '0' }

/**
 * Starts the local cloud with the built functions, on free ports, in a folder of its own. After a reset, instances that
 * remember nothing are still warm.
 */
export async function startTestCloud(options: Partial<CloudOptions> = {}): Promise<TestCloud> {
  const environment = { ...ENVIRONMENT, ...options.environment }
  const warm = environment.REDIRECT_TTL === '0' ? ['image', 'upload'] : ['upload']
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'cloud-')))
  const cloud = await startCloud({
    port: 0,
    retryDelay: 20,
    matte,
    ...options,
    data,
    environment,
  })
  const own = openBucket(cloud)
  let ended = false
  const stop = () => {
    ended = true
    return cloud.close()
  }
  return {
    ...cloud,
    ...own,
    data,
    reset: () => cloud.reset(warm),
    async upload(key, body) {
      await own.bucket.put(key, body, { type: 'image/jpeg' })
      await cloud.scf.idle()
    },
    image: (path, { method = 'GET', headers = {} } = {}) => send(cloud.imageUrl, path, method, headers),
    stop,
    ended: () => ended,
    async close() {
      await stop()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Starts what takes five ports in a row, as the command expects them, on ports that are free. */
export async function onPorts<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await start(20_000 + ((process.pid * 7 + attempt * 11) % 20_000))
    } catch (error) {
      if (Object(error).code !== 'EADDRINUSE' || attempt > 50) throw error
    }
  }
}

/** Opens the bucket of a local cloud. `clock` has the time of its COS. */
export function openBucket({ cosUrl, clock }: { cosUrl: string; clock: { now(): number } }): Bucket {
  const bucket = createCos({
    endpoint: cosUrl,
    credentials: CREDENTIALS,
    deadline: Number.POSITIVE_INFINITY,
    now: clock.now,
    random: Math.random,
  })
  return {
    bucket,
    async bytes(key) {
      const seconds = Math.floor(clock.now() / 1000)
      const answer = await fetch(bucket.presign(key, seconds - 60, seconds + 60))
      if (!answer.ok) throw new Error(`${key}: ${answer.status}`)
      return Buffer.from(await answer.arrayBuffer())
    },
    async keys(prefix) {
      const keys: string[] = []
      for await (const { key } of bucket.list(prefix)) keys.push(key)
      return keys.sort()
    },
  }
}

/** Sends one request. It does not use fetch, which would normalise the path. */
export function send(
  origin: string,
  path: string,
  method: string,
  headers: Record<string, string> = {},
  agent: Agent | false = false,
): Promise<Answer> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, method, headers, agent }, async (response) => {
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
      resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), body })
    })
      .on('error', reject)
      .end()
  })
}

/** The size of photo(), in pixels. It is small, because the engine's time grows with it. */
export const PHOTO = { width: 60, height: 50 }

/** A small product photo: a coloured disc on a grey backdrop. Another colour makes another photo. */
export async function photo(colour = '#b03020'): Promise<Buffer> {
  const svg = `<svg width="60" height="50"><rect width="60" height="50" fill="#e4e4e6"/><circle cx="25" cy="22" r="13" fill="${colour}"/></svg>`
  const drawn = photos.get(colour) ?? sharp(Buffer.from(svg)).jpeg({ quality: 92 }).toBuffer()
  photos.set(colour, drawn)
  return Buffer.from(await drawn)
}

const photos = new Map<string, Promise<Buffer>>()

/** A photo without a product. */
export function blank(): Promise<Buffer> {
  return sharp({ create: { ...PHOTO, channels: 3, background: '#e4e4e6' } })
    .jpeg()
    .toBuffer()
}

/** The format and size of a picture, and the least and greatest alpha in it. */
export async function look(
  png: Buffer,
): Promise<{ format: string; width: number; height: number; alpha: [number, number] }> {
  const { format, width, height } = await sharp(png).metadata()
  const { channels } = await sharp(png).ensureAlpha().stats()
  const { min = 0, max = 0 } = channels[3] ?? {}
  return { format, width, height, alpha: [min, max] }
}

/** Puts a photo and drops its event, so that only requests ask for its cutouts. */
export async function putQuietly(cloud: TestCloud, key: string, body: Buffer): Promise<void> {
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  await cloud.bucket.put(key, body, { type: 'image/jpeg' })
  cloud.faults.set([])
}

/** Sends so many requests for one cutout at the same moment. */
export function ask(cloud: TestCloud, times: number, path = '/plain/uploads/mug.jpg'): Promise<Answer[]> {
  return Promise.all(Array.from({ length: times }, () => cloud.image(path)))
}

/** The code in the problem details of an answer; undefined for an answer without a body. */
export function codeOf({ body }: Answer): unknown {
  return body === '' ? undefined : JSON.parse(body).code
}

/** Waits until a fault holds so many requests. */
export async function held(cloud: TestCloud, times = 1): Promise<void> {
  await expect.poll(() => cloud.faults.held()).toHaveLength(times)
}

/** Waits until somebody who waits for a cutout has read its claim once more. */
export function looks(cloud: TestCloud): Promise<void> {
  return more(cloud, 1, ({ operation, path }) => operation === 'GetObject' && path.startsWith('/.matting/claims/'))
}

/** Waits until so many more askers have found that a cutout is missing: each of them then lists the claims once. */
export function misses(cloud: TestCloud, times: number): Promise<void> {
  return more(cloud, times, ({ operation, path }) => operation === 'GetBucket' && path.includes('claims'))
}

async function more(cloud: TestCloud, times: number, which: (record: RequestRecord) => boolean): Promise<void> {
  const count = () => cloud.cos.requests().filter(which).length
  const before = count()
  await expect.poll(count).toBeGreaterThanOrEqual(before + times)
}

/** Moves the clock until a claim of six seconds has certainly ended; its dates are whole seconds. */
export function lapse(cloud: TestCloud): void {
  cloud.clock.advance(8_000)
}

export function claimsOf(cloud: TestCloud): Promise<string[]> {
  return cloud.keys('.matting/claims/')
}

/** Today's receipts, each with the number of calls that were billed. */
export function receiptsOf(cloud: TestCloud) {
  return readReceipts(cloud.bucket, new Date(cloud.clock.now()).toISOString().slice(0, 10))
}

/** Clouds that an earlier test no longer needs, by their options. */
const spare: { name: string; cloud: TestCloud; buckets: string }[] = []
/** Options → how often a cloud with them was asked for. */
const asked = new Map<string, number>()
/** Few are kept, because each has threads. */
const MOST_SPARE = 3

/**
 * Starts the local cloud for the rest of the test, with four instances of each function. It may be the cloud of an earlier
 * test after a reset.
 */
export async function startForTest(options: Partial<CloudOptions> = {}): Promise<TestCloud> {
  const name = JSON.stringify(options)
  asked.set(name, (asked.get(name) ?? 0) + 1)
  const place = spare.findIndex((one) => one.name === name)
  const [again] = place < 0 ? [] : spare.splice(place, 1)
  const cloud = again?.cloud ?? (await startTestCloud({ instances: 4, ...options }))
  const bucketsNow = () => readFile(join(cloud.data, 'cos/buckets.json'), 'utf8').catch(() => 'closed')
  const buckets = again?.buckets ?? (await bucketsNow())
  onTestFinished(async () => {
    const same = !cloud.ended() && cloud.clock.now() - Date.now() < 1_000 && (await bucketsNow()) === buckets
    // A cloud is used again only if the test left it as it found it. With other hosts or data it might still have the same
    // name, because JSON has no Maps and a folder may be gone.
    if (!same || options.hosts || options.data) return cloud.close()
    await cloud.reset()
    spare.push({ name, cloud, buckets })
    spare.sort((a, b) => (asked.get(b.name) ?? 0) - (asked.get(a.name) ?? 0))
    if (spare.length > MOST_SPARE) await spare.pop()?.cloud.close()
  })
  return cloud
}

/** Puts a photo that nobody has asked for yet. */
export async function quietSource(cloud: TestCloud): Promise<{ key: string; etag: string; size: number }> {
  const key = 'uploads/mug.jpg'
  await putQuietly(cloud, key, await photo())
  const head = await cloud.bucket.head(key)
  return { key, etag: head?.etag ?? '', size: head?.size ?? 0 }
}

/** What `work` returns, and the calls to COS meanwhile, such as `GetObject /a`. */
export async function callsOf<T>(cloud: TestCloud, work: () => Promise<T>): Promise<{ result: T; made: string[] }> {
  const before = cloud.cos.requests().length
  const result = await work()
  const made = cloud.cos.requests().slice(before)
  return { result, made: made.map(({ operation, path }) => `${operation} ${path}`) }
}
