import { cutoutKey, etagPart } from '../../lib/cutout.ts'
import { countPaid, readReceipts } from '../../lib/pay/receipt.ts'
import type { BillItem } from '../../local/cos/cos.ts'
import type { Bucket } from '../helpers/cloud.ts'
import { md5 } from '../helpers/uploads.ts'
import { colourOf, type Photo } from './photos.ts'
import { type Evidence, tellStory } from './story.ts'
import { LAYOUTS } from './ways.ts'

/** How often each bound in the table of docs/once.md was needed. */
export type Exceptions = Record<string, number>

const CLAIM_TIME = 6_000
/** The longest that the vendor may take for a call. */
const VENDOR_TIME = CLAIM_TIME / 2
const SECOND = 1_000

/** Finds lost photos: without all of their cutouts, a failure in the log or a dead letter. */
export async function checkEnds(
  bucket: Bucket,
  { invocations }: Evidence,
  letters: unknown,
  photos: readonly Photo[],
): Promise<string[]> {
  const keys = new Set(await bucket.keys('cutouts/'))
  const lines = invocations.flatMap((run) => run.logs).filter((line) => /"(failed|deferred)"/.test(line))
  const told = JSON.stringify(letters) + lines.join()
  return photos
    .filter(({ fate }) => fate !== 'gone')
    .filter((photo) => !cutoutsOf(photo, photo.body).every((key) => keys.has(key)))
    .filter(({ key }) => !told.includes(key))
    .map(({ key }) => `${key}: lost`)
}

/** Checks that each cutout exists and was paid once, or as often as docs/once.md allows, and that the receipts agree. */
export async function checkBill(
  bucket: Bucket,
  evidence: Evidence,
  photos: readonly Photo[],
  exceptions: Exceptions,
): Promise<string[]> {
  const problems: string[] = []
  const keys = new Set(await bucket.keys('cutouts/'))
  const claims = await bucket.keys('.matting/claims/')
  const receipts = await receiptsOf(bucket)
  for (const photo of photos) {
    const wrong: string[] = []
    for (const body of [photo.body, photo.other]) {
      const cutouts = cutoutsOf(photo, body)
      for (const cutout of cutouts) {
        const items = evidence.bill.filter(({ fileid }) => fileid === cutout)
        const allowed = 1 + allowances(photo, items, evidence, exceptions)
        if (items.length > allowed) wrong.push(`${cutout}: paid ${items.length} times instead of at most ${allowed}`)
        const attempts = claims.filter((key) => key.startsWith(`.matting/claims/${cutout}/`)).length
        const own = photo.fate === 'resent' ? items.length - 1 : items.length
        if (own > attempts) wrong.push(`${cutout}: paid ${items.length} times with ${attempts} claims`)
        if (body === photo.body && photo.fate !== 'gone' && !keys.has(cutout)) wrong.push(`${cutout}: missing`)
      }
      const items = evidence.bill.filter(({ fileid }) => cutouts.includes(fileid))
      const own = receipts.filter(({ receipt }) => receipt.source === photo.key && receipt.etag === md5(body))
      const counted = own.reduce((sum, { billed }) => sum + billed.length, 0)
      // Whoever had no answer counts the cutouts that exist, each once, however often it was paid.
      const open = own.reduce((sum, { receipt, billed }) => sum + receipt.cutouts.length - billed.length, 0)
      const lying = new Set(items.flatMap(({ fileid }) => (keys.has(fileid) ? [fileid] : []))).size
      const again = photo.fate === 'resent' ? LAYOUTS.length : 0
      const days = new Set(own.map(({ receipt }) => receipt.at.slice(0, 10))).size
      const gap = items.length - counted
      if ((gap < 0 && days < 2) || counted < lying || gap > open + again) {
        wrong.push(`${photo.key}: receipts say ${counted} paid calls, the bill ${items.length}`)
      }
      add(
        exceptions,
        'a receipt without an answer, and no cutout for each of its calls: not all calls were counted',
        gap,
      )
      add(exceptions, 'a receipt without an answer, and its cutout was paid on another day: counted twice', -gap)
    }
    if (wrong.length > 0) problems.push(...wrong, await tellStory(bucket, evidence, photo.key))
  }
  const known = new Set(photos.flatMap((photo) => [photo.body, photo.other].flatMap((body) => cutoutsOf(photo, body))))
  for (const { fileid } of evidence.bill)
    if (!known.has(fileid)) problems.push(`${fileid}: paid for, but no photo of this run has this cutout`)
  return problems
}

/** How many further times a cutout may have been paid, by the table of docs/once.md. */
function allowances(photo: Photo, items: readonly BillItem[], evidence: Evidence, exceptions: Exceptions): number {
  if (items.length < 2) return 0
  const { fate, key } = photo
  const path = `/${key}`
  const own = evidence.requests.filter((request) => request.path === path)
  const puts = own.filter(({ operation, status }) => operation === 'PutObject' && (status === 200 || status === 0))
  const deleted = own.some(({ operation }) => operation === 'DeleteObject')
  const removed = evidence.requests.filter(
    ({ operation, path }) => operation === 'DeleteObject' && path === `/${items[0]?.fileid}`,
  ).length
  const lost = items.some(({ outcome }) => outcome === 'lost')
  // The slow upload began first, so the second one is the other.
  const [, put = Number.POSITIVE_INFINITY] = puts.map(({ at }) => Date.parse(at)).sort((a, b) => a - b)
  const bounds: [name: string, count: number][] = [
    ['the vendor dropped the result', items.filter(({ outcome }) => outcome === 'dropped').length],
    ['the photo was replaced or deleted, so its cutout was', fate === 'replaced' || deleted ? removed : 0],
    ['the photo was put again, and the answer lost', puts.length > 1 && lost ? removed : 0],
    ['the same signed PUT was sent again', fate === 'resent' ? 1 : 0],
    [
      'two put the photo at once, one of them slowly',
      fate === 'twice' && items.some(({ method, at }) => method === 'upload' && Date.parse(at) - put >= VENDOR_TIME)
        ? 1
        : 0,
    ],
    [
      'the vendor took longer than half of CLAIM_TIME',
      own.filter(({ operation, ms }) => operation === 'ImageProcess' && ms > VENDOR_TIME).length,
    ],
  ]
  let left = items.length - 1
  for (const [name, count] of bounds) {
    const needed = Math.min(left, count)
    add(exceptions, name, needed)
    left -= needed
  }
  return items.length - 1 - left
}

/** Checks that each cutout was made from the photo whose name it has. */
export async function checkColours(
  bucket: Bucket,
  evidence: Evidence,
  photos: readonly Photo[],
  exceptions: Exceptions,
): Promise<string[]> {
  const problems: string[] = []
  const keys = await bucket.keys('cutouts/')
  for (const photo of photos) {
    const colours = await Promise.all([photo.body, photo.other].map(colourOf))
    for (const [i, body] of [photo.body, photo.other].entries()) {
      for (const cutout of cutoutsOf(photo, body).filter((key) => keys.includes(key))) {
        const colour = await colourOf(await bucket.bytes(cutout))
        const [own = 0, others = 0] = [colours[i], colours[1 - i]].map((other) => distance(colour, other ?? []))
        if (own < others) continue
        const bound = unseen(photo, evidence, cutout)
        if (bound) add(exceptions, bound, 1)
        else problems.push(`${cutout}: was made from another photo`, await tellStory(bucket, evidence, photo.key))
      }
    }
  }
  return problems
}

/** Why perhaps nobody has seen that the vendor cut out another photo, by the table of docs/once.md. */
function unseen({ key }: Photo, { bill, requests, invocations }: Evidence, cutout: string): string | undefined {
  const items = bill.filter(({ fileid, etag }) => fileid === cutout && !cutout.includes(`/${etagPart(etag)}-`))
  // An invocation that handled the photo ended before the vendor was done, or not long after. If it crashed it logged nothing.
  const ended = invocations.some(({ at, ms, outcome, logs }) => {
    const [start, end] = [Date.parse(at), Date.parse(at) + ms]
    const crashed = outcome === 'crash' || outcome === 'timeout'
    const early = crashed || logs.some((line) => line.includes(key) && /"(pending|timeout|unavailable)"/.test(line))
    return early && items.map(({ at }) => Date.parse(at)).some((done) => start <= done && done - CLAIM_TIME <= end)
  })
  if (ended) return 'another photo was cut, and the payer ended before it could look'
  const puts = requests.filter(({ operation, path }) => operation === 'PutObject' && path === `/${key}`)
  const seconds = puts.flatMap(({ at, ms }) =>
    [Date.parse(at), Date.parse(at) + ms].map((time) => Math.floor(time / SECOND)),
  )
  const within = new Set(seconds).size < seconds.length && items.some(({ outcome }) => outcome === 'lost')
  return within ? 'another photo was cut within one second, and the answer lost' : undefined
}

/**
 * Checks that no day has more paid calls than its limit, plus one request for each payer that may have counted at the same
 * time.
 */
export async function checkLimit(bucket: Bucket, { bill }: Evidence, limit: number, payers: number): Promise<string[]> {
  const problems: string[] = []
  const cos = bucket.bucket
  const days = new Map<string, number>()
  for (const { at, source } of bill) {
    // These photos may be paid on a later day than the one they were counted on, or after their claim, or twice.
    if (!/\/(slow|lazy|twice|resent)-/.test(source)) days.set(at.slice(0, 10), (days.get(at.slice(0, 10)) ?? 0) + 1)
  }
  for (const [day, paid] of days) {
    if (paid > limit + payers * LAYOUTS.length)
      problems.push(`${day}: ${paid} paid calls, although the limit is ${limit}`)
    const counted = await countPaid({ cos, store: cos }, day)
    if (counted < paid) problems.push(`${day}: ${paid} paid calls, but only ${counted} were counted`)
  }
  return problems
}

async function receiptsOf(bucket: Bucket) {
  const keys = await bucket.keys('.matting/receipts/')
  const days = new Set(keys.map((key) => key.split('/')[2] ?? ''))
  return (await Promise.all([...days].map((day) => readReceipts(bucket.bucket, day)))).flat()
}

function cutoutsOf({ key }: Photo, body: Buffer): string[] {
  return LAYOUTS.map((layout) => cutoutKey('cutouts/', { key, etag: md5(body) }, layout))
}

function distance(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0)
}

function add(exceptions: Exceptions, name: string, count: number): void {
  if (count > 0) exceptions[name] = (exceptions[name] ?? 0) + count
}
