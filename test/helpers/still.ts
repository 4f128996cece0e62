import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { readConfig } from '../../lib/config.ts'
import { type Cos, createCos } from '../../lib/cos.ts'
import { cutoutKey } from '../../lib/cutout.ts'
import { createInvocation, type Invocation } from '../../lib/invocation.ts'
import { type Layout, plain } from '../../lib/layout.ts'
import { type Paid, paid } from '../../lib/paid.ts'
import { ensure, type Source } from '../../lib/pay/pay.ts'
import { BUCKET, ID, type Lab, type LabOptions, REGION, SECRET, startLab } from './cos.ts'

export const KEY = 'uploads/mug.jpg'
export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const CLAIMS = '.matting/claims/'
export const RECEIPTS = '.matting/receipts/'
export const JSON_TYPE = { type: 'application/json' }
export const card: Layout = { center: true, dx: 20, dy: 10 }
/** More layouts than one paid call can have. */
export const seven: Layout[] = [1, 2, 3, 4, 5, 6, 7].map((dx) => ({ center: false, dx, dy: 0 }))

/**
 * A local COS with a clock that stands still until a test moves it, so that the last second of a claim can be told from the
 * first one after it.
 */
export interface Still extends Lab {
  now(): number
  advance(ms: number): void
  /** The bucket, as its owner uses it, without a deadline. */
  bucket: Cos
  /** An invocation for `lib/pay` with 20 seconds left. All of its clocks are this one. */
  parts(settings?: Record<string, string>, more?: Partial<Invocation>): Invocation
  /** Puts a photo, and returns what HEAD says about it. */
  source(body: Buffer, key?: string): Promise<Source>
  under(prefix: string): Promise<string[]>
  json(key: string): Promise<Record<string, unknown>>
  /** Waits until a fault holds so many requests. */
  held(times?: number): Promise<void>
  /** How many requests of this operation have been answered whose key begins with `prefix`. */
  asked(operation: string, prefix?: string): number
}

/** Starts a local COS for the rest of the test, at noon. */
export async function startStill(options: LabOptions = {}): Promise<Still> {
  let time = Date.parse('2026-01-09T12:00:00Z')
  const now = () => time
  const lab = await startLab({ ...options, now })
  const endpoint = `http://127.0.0.1:${lab.port}`
  const network = { credentials: { secretId: ID, secretKey: SECRET }, now, random: () => 0 }
  const bucket = createCos({ endpoint, ...network, deadline: Number.POSITIVE_INFINITY })
  const still: Still = {
    ...lab,
    now,
    bucket,
    advance(ms) {
      time += ms
    },
    parts(settings = {}, more = {}) {
      const place = { COS_BUCKET: BUCKET, COS_REGION: REGION, COS_ENDPOINT: endpoint, CLAIM_TIME: '6' }
      const config = readConfig({ ...place, ...settings })
      const deadline = time + 20 * SECOND
      return { ...createInvocation(config, { ...network, uuid: randomUUID, deadline }), ...more }
    },
    async source(body, key = KEY) {
      await bucket.put(key, body, { type: 'image/jpeg' })
      const head = await bucket.head(key)
      return { key, etag: head?.etag ?? '', size: head?.size ?? 0, modified: head?.modified ?? 0 }
    },
    async under(prefix) {
      const keys: string[] = []
      for await (const { key } of bucket.list(prefix)) keys.push(key)
      return keys
    },
    json: async (key) => Object(JSON.parse((await bucket.get(key))?.body ?? '{}')),
    async held(times = 1) {
      await expect.poll(() => lab.faults.held()).toHaveLength(times)
    },
    asked: (operation, prefix = '') =>
      lab.requests().filter((one) => one.operation === operation && one.path.startsWith(`/${prefix}`)).length,
  }
  return still
}

/** What was returned; or the code of the error, if one was thrown. */
export function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => Object(error).code ?? error)
}

/** Asks for cutouts, by default the plain one. Returns how they were obtained, or the code of the error. */
export async function cutOut(parts: Invocation, source: Source, layouts = [plain], wait = true): Promise<unknown> {
  const made = await outcome(ensure(parts, 'url', source, layouts, { wait }))
  return Array.isArray(made) ? made.map(({ obtained }) => obtained).join() : made
}

/** The key of the first claim of a cutout. */
export function claimOf(source: { key: string; etag: string }, layout = plain): string {
  return `${CLAIMS}${cutoutKey('cutouts/', source, layout)}/0`
}

/** The invocation with some methods of its client replaced. */
export function through(
  parts: Invocation,
  change: Partial<Omit<Cos, typeof paid>>,
  paying: Partial<Paid> = {},
): Invocation {
  const cos = { ...parts.cos, ...change, [paid]: { ...parts.cos[paid], ...paying } }
  return { ...parts, cos, store: cos }
}
