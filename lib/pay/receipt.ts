import type { Cos } from '../cos.ts'
import { RECORDS } from '../cutout.ts'
import { quietly } from '../quietly.ts'

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

/** A permission that was given to somebody else to make a paid call, as read from the key of its receipt. */
interface GrantedCall {
  key: string
  /** Key of its later receipt, without the count at the end. */
  name: string
  /** From then on it can be known whether it was used; in milliseconds since the epoch. */
  lapses: number
  count: number
}

export const RECEIPTS = `${RECORDS}receipts/`
export const TALLIES = `${RECORDS}tally/`
const GRANTS = 'grants/'
const NAME = /^(\d+)-([\w-]+)-(\d+)\.json$/

/**
 * A receipt that is written later than this after its time is not paid for: more than half of the longest CLAIM_TIME. In
 * milliseconds.
 */
const WRITTEN = 1_000_000
/** With more receipts than this, a tally is written, where the next count starts. */
const TALLY = 1_000
/** How many grants are settled at the same moment, and how many times in one count. */
const SETTLED_AT_ONCE = 8
const MAX_ROUNDS = 8

/** `.matting/receipts/<yyyy-mm-dd>/<time>-<id>-<number of cutouts>.json`, so that a list of keys is enough to count. */
export function receiptKey({ at, id, cutouts }: Receipt): string {
  return `${RECEIPTS}${at.slice(0, 10)}/${timeOf(at)}-${id}-${cutouts.length}.json`
}

export async function writeReceipt(store: Cos, receipt: Receipt): Promise<void> {
  await store.put(receiptKey(receipt), JSON.stringify(receipt), { type: 'application/json' })
}

/**
 * Writes the receipt of a call that somebody else may or may not make. Its key lies under `grants/` and begins with the time
 * when it lapses, in milliseconds since the epoch. Returns this key.
 */
export async function writeGrant(store: Cos, receipt: Receipt, lapses: number): Promise<string> {
  const day = receipt.at.slice(0, 10)
  const key = `${RECEIPTS}${day}/${GRANTS}${lapses}-${receipt.id}-${receipt.cutouts.length}.json`
  await store.put(key, JSON.stringify(receipt), { type: 'application/json' })
  return key
}

/**
 * How many calls were paid for on a day (`yyyy-mm-dd`, UTC), including calls under way and calls granted to others. A grant
 * that has lapsed is settled: it no longer counts if neither photo nor cutout is there. While the sum exceeds `enough`, more
 * grants are settled.
 *
 * A tally holds the sum of the older receipts, so that only a few are listed.
 */
export async function countPaid(
  { cos, store }: { cos: Cos; store: Cos },
  day: string,
  enough = Number.POSITIVE_INFINITY,
): Promise<number> {
  const now = store.clock()
  const folder = `${RECEIPTS}${day}/`
  const tally = await readTally(store, day)
  const grants: GrantedCall[] = []
  // Listed before the receipts, so that a grant that is settled meanwhile is not missed.
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
    const unused = await Promise.all(lapsed.splice(0, SETTLED_AT_ONCE).map((grant) => settle({ cos, store }, grant)))
    sum -= unused.reduce((more, count) => more + count, 0)
  }
  if (receipts.length > TALLY) {
    // The tally must end before any grant that is still to be settled, or its receipt would not be counted.
    const before = timeIn(
      day,
      grants.reduce((least, { lapses }) => Math.min(least, lapses), now - WRITTEN),
    )
    const older = receipts.filter(({ time }) => time < before)
    if (older.length > 0) await writeTally(store, day, { before, count: tally.count + total(older) })
  }
  return sum
}

/**
 * Turns a grant that has lapsed into a receipt: of its calls if it was used, otherwise of none, so that a call that still comes
 * later leaves a trace. Two instances that do this at the same moment write the same. Returns how many calls were not made.
 */
async function settle({ cos, store }: { cos: Cos; store: Cos }, { key, name, count }: GrantedCall): Promise<number> {
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

/** The sum of all receipts whose time is before `before`, which has nine digits. */
interface Tally {
  before: string
  count: number
}

function tallyKey(day: string): string {
  return `${TALLIES}${day}.json`
}

async function readTally(store: Cos, day: string): Promise<Tally> {
  const found = await store.get(tallyKey(day))
  if (!found) return { before: '', count: 0 }
  const { before, count } = Object(quietly(() => JSON.parse(found.body)))
  // A tally that cannot be read counts as none, and all receipts are listed.
  const known = typeof before === 'string' && /^\d{9}$/.test(before) && Number.isSafeInteger(count) && count >= 0
  return known ? { before, count } : { before: '', count: 0 }
}

async function writeTally(store: Cos, day: string, tally: Tally): Promise<void> {
  await store.put(tallyKey(day), JSON.stringify(tally), { type: 'application/json' }).catch(() => {})
}

/** How many receipts are read at the same moment. */
const READ_AT_ONCE = 32

/** A receipt, and the keys of its cutouts that were billed. */
export interface Billed {
  receipt: Receipt
  billed: string[]
}

/**
 * The receipts of a day. A call without an answer was billed for the cutouts that are there and that no other receipt accounts
 * for.
 */
export async function readReceipts(store: Cos, day: string): Promise<Billed[]> {
  const receipts: Receipt[] = []
  for await (const receipt of receiptsUnder(store, `${RECEIPTS}${day}/`)) receipts.push(receipt)
  const accounted = new Set(receipts.flatMap(({ outcome, cutouts }) => (outcome === 'bought' ? cutouts : [])))
  const billed: Billed[] = []
  for (const receipt of receipts) {
    const found = receipt.outcome === 'bought' ? receipt.cutouts : []
    for (const cutout of receipt.outcome === 'sent' ? receipt.cutouts : []) {
      if (accounted.has(cutout) || !(await store.head(cutout))) continue
      accounted.add(cutout)
      found.push(cutout)
    }
    billed.push({ receipt, billed: found })
  }
  return billed
}

/** The receipts of one source that were written between two times, in milliseconds since the epoch, both within a day. */
export async function receiptsOf(store: Cos, source: string, from: number, to: number): Promise<Receipt[]> {
  const day = new Date(from).toISOString().slice(0, 10)
  const folder = `${RECEIPTS}${day}/`
  const found: Receipt[] = []
  for await (const receipt of receiptsUnder(store, folder, folder + timeIn(day, from), folder + timeIn(day, to)))
    if (receipt.source === source) found.push(receipt)
  return found
}

/** Those whose keys lie behind `after`, and not behind `end`; grants lie behind all times. */
async function* receiptsUnder(store: Cos, folder: string, after = '', end = ''): AsyncGenerator<Receipt> {
  const read = (keys: readonly string[]) =>
    Promise.all(
      keys.map(async (key) => {
        const receipt = readReceipt((await store.get(key))?.body ?? '')
        // What is left of a grant that was not used: of its calls none was made.
        return receipt && key.endsWith('-0.json') ? { ...receipt, cutouts: [] } : receipt
      }),
    )
  let keys: string[] = []
  for await (const { key } of store.list(folder, after)) {
    if (end !== '' && key > `${end}~`) break
    keys.push(key)
    if (keys.length < READ_AT_ONCE) continue
    yield* (await read(keys)).filter((receipt) => receipt !== undefined)
    keys = []
  }
  yield* (await read(keys)).filter((receipt) => receipt !== undefined)
}

/** The first day from `day` on of which there are receipts; undefined if there is none. */
export async function dayWithReceipts(store: Cos, day: string): Promise<string | undefined> {
  for await (const { key } of store.list(RECEIPTS, RECEIPTS + day))
    return key.slice(RECEIPTS.length, RECEIPTS.length + 10)
  return undefined
}

/** Undefined if `writeReceipt` did not write this. */
function readReceipt(text: string): Receipt | undefined {
  const { id, at, asker, source, etag, cutouts, outcome, ms } = Object(quietly(() => JSON.parse(text)))
  if (!Array.isArray(cutouts)) return undefined
  const texts = [id, at, asker, source, etag, ...cutouts]
  if (!texts.every((field) => typeof field === 'string')) return undefined
  return { id, at, asker, source, etag, cutouts, outcome: outcome === 'bought' ? 'bought' : 'sent', ms: Number(ms) }
}

/** Hours to milliseconds of an ISO date, as nine digits. */
function timeOf(at: string): string {
  return at.slice(11).replace(/\D/g, '')
}

/** The same for a time in milliseconds, limited to the day: a time after midnight becomes the day's last. */
function timeIn(day: string, time: number): string {
  const [start, end] = [Date.parse(day), Date.parse(day) + 86_399_999]
  return timeOf(new Date(Math.min(Math.max(time, start), end)).toISOString())
}
