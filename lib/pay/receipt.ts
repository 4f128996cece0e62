import type { Cos } from '../cos.ts'
import { RECORDS } from '../cutout.ts'

/** The record of one paid call, written before it is sent, so that a crash cannot hide it. */
export interface Receipt {
  id: string
  /** ISO 8601, COS's clock. */
  at: string
  asker: string
  source: string
  etag: string
  /** Keys of the cutouts asked for; each is billed. */
  cutouts: string[]
  /** `sent`: no answer came, or the instance ended before it; `bought`: answered with success. */
  outcome: 'sent' | 'bought'
  /** Milliseconds until the answer. */
  ms: number
}

/** Leave to make a paid call that was handed out to somebody else, as the key of its receipt tells. */
interface Grant {
  key: string
  /** Name of its receipt, with `count` at its end. */
  name: string
  /** When it will be known whether it was used, in milliseconds since the epoch. */
  lapses: number
  count: number
}

const RECEIPTS = `${RECORDS}receipts/`
const GRANTS = 'grants/'
const NAME = /^(\d+)-([\w-]+)-(\d+)\.json$/

/** No receipt is written later than this after its time and still paid for: half of the longest CLAIM_TIME, and more. In milliseconds. */
const WRITTEN = 1_000_000
/** So many receipts more, and the next count starts from a tally. */
const TALLY = 1_000
/** Grants that are settled at the same moment, and how often in one count. */
const SETTLE = 8
const MAX_ROUNDS = 8

/** `.matting/receipts/<yyyy-mm-dd>/<time>-<id>-<number of cutouts>.json`: so a list of keys is enough to count. */
export function receiptKey({ at, id, cutouts }: Receipt): string {
  return `${RECEIPTS}${at.slice(0, 10)}/${timeOf(at)}-${id}-${cutouts.length}.json`
}

export async function writeReceipt(store: Cos, receipt: Receipt): Promise<void> {
  await store.put(receiptKey(receipt), JSON.stringify(receipt), { type: 'application/json' })
}

/**
 * Writes the receipt of a call that somebody else may make, or not. Under `grants/`, and by the time when it lapses, in
 * milliseconds since the epoch. Returns its key.
 */
export async function writeGrant(store: Cos, receipt: Receipt, lapses: number): Promise<string> {
  const day = receipt.at.slice(0, 10)
  const key = `${RECEIPTS}${day}/${GRANTS}${lapses}-${receipt.id}-${receipt.cutouts.length}.json`
  await store.put(key, JSON.stringify(receipt), { type: 'application/json' })
  return key
}

/**
 * How many calls were paid for on a day (`yyyy-mm-dd`, UTC), with those under way and those that others were granted. A grant that has
 * lapsed is settled: it counts no more if it left neither photo nor cutout. More of them are looked at while the sum exceeds `enough`.
 *
 * However many receipts there are, few of them are listed: a tally holds the sum of the older ones.
 */
export async function countPaid(
  { cos, store }: { cos: Cos; store: Cos },
  day: string,
  enough = Number.POSITIVE_INFINITY,
): Promise<number> {
  const now = store.clock()
  const folder = `${RECEIPTS}${day}/`
  const tally = await readTally(store, day)
  const grants: Grant[] = []
  // Before the receipts: one that is settled meanwhile stands among them by then.
  for await (const { key } of store.list(folder + GRANTS)) {
    const [, time, id, count] = NAME.exec(key.slice(folder.length + GRANTS.length)) ?? []
    const [lapses, name] = [Number(time), `${folder}${timeIn(day, Number(time))}-${id}`]
    if (count !== undefined) grants.push({ key, name, lapses, count: Number(count) })
  }
  const receipts: { time: string; count: number }[] = []
  for await (const { key } of store.list(folder, folder + tally.before)) {
    const [, time = '', , count] = NAME.exec(key.slice(folder.length)) ?? []
    if (count !== undefined) receipts.push({ time, count: Number(count) })
  }
  const total = (counted: readonly { count: number }[]) => counted.reduce((sum, { count }) => sum + count, 0)
  let sum = tally.count + total(receipts) + total(grants)
  const lapsed = grants.filter(({ lapses }) => lapses < now)
  for (let round = 0; round < MAX_ROUNDS && lapsed.length > 0 && (round === 0 || sum > enough); round++) {
    const unused = await Promise.all(lapsed.splice(0, SETTLE).map((grant) => settle({ cos, store }, grant)))
    sum -= unused.reduce((more, count) => more + count, 0)
  }
  if (receipts.length > TALLY) {
    // Not past a grant that may be settled yet: its receipt would be overlooked.
    const before = timeIn(day, Math.min(now - WRITTEN, ...grants.map(({ lapses }) => lapses)))
    const older = receipts.filter(({ time }) => time < before)
    if (older.length > 0) await writeTally(store, day, { before, count: tally.count + total(older) })
  }
  return sum
}

/**
 * Turns a grant that has lapsed into a receipt: of its calls if it was used, else of none, so that a call that comes later all the
 * same leaves a trace. Two who do so at the same moment write the same. Returns how many calls were not made.
 */
async function settle({ cos, store }: { cos: Cos; store: Cos }, { key, name, count }: Grant): Promise<number> {
  const found = await store.get(key)
  const grant = found && readReceipt(found.body)
  if (!grant) return 0
  const used =
    (await cos.head(grant.source))?.etag === grant.etag ||
    (await Promise.all(grant.cutouts.map((cutout) => store.head(cutout)))).some((head) => head !== undefined)
  await store.put(`${name}-${used ? count : 0}.json`, JSON.stringify(grant), { type: 'application/json' })
  await store.delete(key)
  return used ? 0 : count
}

/** The sum of all receipts whose time is before `before`, nine digits. */
interface Tally {
  before: string
  count: number
}

function tallyKey(day: string): string {
  return `${RECORDS}tally/${day}.json`
}

async function readTally(store: Cos, day: string): Promise<Tally> {
  const found = await store.get(tallyKey(day))
  if (!found) return { before: '', count: 0 }
  const { before, count } = Object(parse(found.body))
  // An unreadable one counts as none: then all is listed.
  const known = typeof before === 'string' && /^\d{9}$/.test(before) && Number.isSafeInteger(count) && count >= 0
  return known ? { before, count } : { before: '', count: 0 }
}

async function writeTally(store: Cos, day: string, tally: Tally): Promise<void> {
  await store.put(tallyKey(day), JSON.stringify(tally), { type: 'application/json' }).catch(() => {})
}

/**
 * The receipts of a day with how many of each one's cutouts were billed. A call that was never answered was billed for what
 * lies there and no other receipt accounts for.
 */
export async function readReceipts(store: Cos, day: string): Promise<{ receipt: Receipt; billed: number }[]> {
  const receipts: Receipt[] = []
  for await (const { key } of store.list(`${RECEIPTS}${day}/`)) {
    const found = await store.get(key)
    const receipt = found && readReceipt(found.body)
    if (receipt) receipts.push(receipt)
  }
  const accounted = new Set(receipts.flatMap(({ outcome, cutouts }) => (outcome === 'bought' ? cutouts : [])))
  const billed: { receipt: Receipt; billed: number }[] = []
  for (const receipt of receipts) {
    let count = receipt.outcome === 'bought' ? receipt.cutouts.length : 0
    for (const cutout of receipt.outcome === 'sent' ? receipt.cutouts : []) {
      if (accounted.has(cutout) || !(await store.head(cutout))) continue
      accounted.add(cutout)
      count++
    }
    billed.push({ receipt, billed: count })
  }
  return billed
}

/** Undefined if it is not what `writeReceipt` wrote. */
function readReceipt(text: string): Receipt | undefined {
  const { id, at, asker, source, etag, cutouts, outcome, ms } = Object(parse(text))
  if (!Array.isArray(cutouts)) return undefined
  const texts = [id, at, asker, source, etag, ...cutouts]
  if (!texts.every((field) => typeof field === 'string')) return undefined
  return { id, at, asker, source, etag, cutouts, outcome: outcome === 'bought' ? 'bought' : 'sent', ms: Number(ms) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Hours to milliseconds of an ISO date, nine digits. */
function timeOf(at: string): string {
  return at.slice(11).replace(/\D/g, '')
}

/** The same of a time that is no other day's: what ends after midnight ends with the day. */
function timeIn(day: string, time: number): string {
  const [start, end] = [Date.parse(day), Date.parse(day) + 86_399_999]
  return timeOf(new Date(Math.min(Math.max(time, start), end)).toISOString())
}
