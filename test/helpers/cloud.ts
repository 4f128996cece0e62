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

/** The owner's way into the bucket. */
export interface Bucket {
  bucket: Cos
  /** The bytes of an object. */
  bytes(key: string): Promise<Buffer>
  /** Keys under a prefix, sorted. */
  keys(prefix: string): Promise<string[]>
}

export interface TestCloud extends Cloud, Bucket {
  data: string
  /** Ends it, and leaves its folder. */
  stop(): Promise<void>
  /** Whether it has ended. */
  ended(): boolean
  /** Puts an object and waits until all that follows from it is done. */
  upload(key: string, body: Buffer): Promise<void>
  /** One request to the image function, with the path on the wire exactly as given. */
  image(path: string, options?: { method?: string; headers?: Record<string, string> }): Promise<Answer>
}

export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** One engine for all clouds of a process, which it does not keep alive: an engine's first cutout takes most of a second. */
const matte = remembering(createMatte({ workers: 1 }))

/** Short claims, and redirects that nobody keeps: an instance remembers nothing of what it saw. */
const ENVIRONMENT = { CLAIM_TIME: '6', REDIRECT_TTL: '0' }

/**
 * The local cloud with the built functions, on free ports, in a folder of its own. After a reset its instances are still warm, if
 * they remember nothing.
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

/** `clock` tells COS's time. */
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

/** fetch would tidy the path. */
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

/** In pixels: small, for the engine's time grows with them. */
export const PHOTO = { width: 60, height: 50 }

/** A small product photo: a coloured disc on a grey backdrop. Another colour is another photo. */
export async function photo(colour = '#b03020'): Promise<Buffer> {
  const svg = `<svg width="60" height="50"><rect width="60" height="50" fill="#e4e4e6"/><circle cx="25" cy="22" r="13" fill="${colour}"/></svg>`
  const drawn = photos.get(colour) ?? sharp(Buffer.from(svg)).jpeg({ quality: 92 }).toBuffer()
  photos.set(colour, drawn)
  return Buffer.from(await drawn)
}

const photos = new Map<string, Promise<Buffer>>()

/** What a picture is made of: its size, and the least and greatest alpha in it. */
export async function look(
  png: Buffer,
): Promise<{ format: string; width: number; height: number; alpha: [number, number] }> {
  const { format, width, height } = await sharp(png).metadata()
  const { channels } = await sharp(png).ensureAlpha().stats()
  const { min = 0, max = 0 } = channels[3] ?? {}
  return { format, width, height, alpha: [min, max] }
}

/** Puts a photo whose event is lost, so that only URLs ask for it. */
export async function putQuietly(cloud: TestCloud, key: string, body: Buffer): Promise<void> {
  cloud.faults.set([{ on: 'Event', kind: 'drop' }])
  await cloud.bucket.put(key, body, { type: 'image/jpeg' })
  cloud.faults.set([])
}

/** So many requests for one cutout at the same moment. */
export function ask(cloud: TestCloud, times: number, path = '/plain/uploads/mug.jpg'): Promise<Answer[]> {
  return Promise.all(Array.from({ length: times }, () => cloud.image(path)))
}

/** The code of problem details; undefined for any other answer. */
export function codeOf({ body }: Answer): unknown {
  return body === '' ? undefined : JSON.parse(body).code
}

/** Waits until so many requests are held where a fault holds them. */
export async function held(cloud: TestCloud, times = 1): Promise<void> {
  await expect.poll(() => cloud.faults.held()).toHaveLength(times)
}

/** Waits until a claim was looked at once more, by somebody who waits. */
export function looks(cloud: TestCloud): Promise<void> {
  return more(cloud, 1, ({ operation, path }) => operation === 'GetObject' && path.startsWith('/.matting/claims/'))
}

/** Waits until so many more have seen that a cutout is not there: they list the claims, once each. */
export function misses(cloud: TestCloud, times: number): Promise<void> {
  return more(cloud, times, ({ operation, path }) => operation === 'GetBucket' && path.includes('claims'))
}

async function more(cloud: TestCloud, times: number, which: (record: RequestRecord) => boolean): Promise<void> {
  const count = () => cloud.cos.requests().filter(which).length
  const before = count()
  await expect.poll(count).toBeGreaterThanOrEqual(before + times)
}

/** Time passes until a claim of six seconds has run out, whose dates are whole seconds. */
export function lapse(cloud: TestCloud): void {
  cloud.clock.advance(8_000)
}

export function claimsOf(cloud: TestCloud): Promise<string[]> {
  return cloud.keys('.matting/claims/')
}

/** Today's receipts, with what each was billed. */
export function receiptsOf(cloud: TestCloud) {
  return readReceipts(cloud.bucket, new Date(cloud.clock.now()).toISOString().slice(0, 10))
}

/** Clouds that tests have left as they found them, by what they were started with; and how often such were asked for. */
const left: { name: string; cloud: TestCloud; buckets: string }[] = []
const asked = new Map<string, number>()
/** Each has threads. */
const MOST_LEFT = 3

/**
 * The local cloud for the rest of the test, with four instances of each function. It may be one that another test has left, as if
 * after a reset.
 */
export async function startForTest(options: Partial<CloudOptions> = {}): Promise<TestCloud> {
  const name = JSON.stringify(options)
  asked.set(name, (asked.get(name) ?? 0) + 1)
  const place = left.findIndex((one) => one.name === name)
  const [again] = place < 0 ? [] : left.splice(place, 1)
  const cloud = again?.cloud ?? (await startTestCloud({ instances: 4, ...options }))
  const bucketsNow = () => readFile(join(cloud.data, 'cos/buckets.json'), 'utf8').catch(() => 'closed')
  const buckets = again?.buckets ?? (await bucketsNow())
  onTestFinished(async () => {
    const same = !cloud.ended() && cloud.clock.now() - Date.now() < 1_000 && (await bucketsNow()) === buckets
    // Where they lead, JSON does not tell.
    if (!same || options.hosts || options.data) return cloud.close()
    await cloud.reset()
    left.push({ name, cloud, buckets })
    left.sort((a, b) => (asked.get(b.name) ?? 0) - (asked.get(a.name) ?? 0))
    if (left.length > MOST_LEFT) await left.pop()?.cloud.close()
  })
  return cloud
}

/** A photo that nobody has asked for yet. */
export async function quietSource(cloud: TestCloud): Promise<{ key: string; etag: string; size: number }> {
  const key = 'uploads/mug.jpg'
  await putQuietly(cloud, key, await photo())
  const head = await cloud.bucket.head(key)
  return { key, etag: head?.etag ?? '', size: head?.size ?? 0 }
}
