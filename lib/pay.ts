import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isBlank } from './blank.ts'
import { type Claim, claim, claimKey, listClaims, look, release } from './claim.ts'
import { type Config, isUnder } from './config.ts'
import { type Cos, type PicRule, picOperations } from './cos.ts'
import { cutoutFolder, cutoutKey, etagPart, olderKeys, versionIn } from './cutout.ts'
import { type Code, MattingError } from './errors.ts'
import { checkFailure, writeFailure } from './failure.ts'
import { type Layout, layoutName, rule } from './layout.ts'
import { countPaid, type Receipt, receiptKey, writeReceipt } from './receipt.ts'
import type { Credentials } from './sign.ts'

/** A photo as HEAD saw it, or a picture elsewhere. */
export interface Source {
  /** Of a picture elsewhere, its name. */
  key: string
  etag: string
  size: number
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified?: number
  /** Of a picture elsewhere: where the vendor is to fetch it. */
  url?: string
  /** The same: the URL that was asked for, and its version as keys had it before 1.0. Secret, and never stored. */
  asked?: { url: string; version: string }
  /** Of a photo that is not stored yet. */
  photo?: Photo
}

/** A photo on its way into the bucket. */
export interface Photo {
  body: Buffer
  /** Content-Type. */
  type: string
  /** Set once COS has said so. */
  stored?: boolean
}

export interface Cutout {
  /** Short name of its layout. */
  layout: string
  key: string
  /** Bytes. */
  size: number
  /** `made`: this very call paid for it, as far as it knows; `joined`: somebody else made it meanwhile. */
  by: 'hit' | 'made' | 'joined'
}

export type Stage = 'look' | 'claim' | 'pay' | 'wait'

/** What an invocation has spent: milliseconds by stage, and paid calls, as far as it knows. `ensure` adds to it. */
export interface Spent {
  ms: Map<Stage, number>
  calls: number
}

/** What both functions work with. */
export interface Parts {
  config: Config
  /** The bucket of the photos. */
  cos: Cos
  /** The bucket of cutouts, claims and all other records; often the same. */
  store: Cos
  now: () => number
  random: () => number
  uuid: () => string
  /** Milliseconds since the epoch, our clock. */
  deadline: number
  spent: Spent
}

/** A cutout that is not there. */
interface Missing {
  key: string
  /** Where else it may lie, if it was made since then. */
  older: string[]
  since: number
  layout: Layout
  claim: Claim
  /** The number of the attempt under way, by whomever; -1 before the first. */
  attempt: number
  /** When that attempt's claim was written, by COS's clock. */
  claimed: number
  /** Once it is there. */
  found?: { size: number; blank: boolean }
}

/** The vendor's bound for one request (product/436/74972). */
export const MAX_RULES = 5
/** Less time than this is not enough for a matting call: 1.6 to 4.4 s are usual. In milliseconds. */
const LEAST_TIME = 5_000
/** What a last look and a log line need, and what storing the cutout of a picture elsewhere does; in milliseconds. */
const LOOK_TIME = 1_000
const STORE_TIME = 4_000
/** What CI says of the photo itself, which only another photo mends; and what it may say of one layout of it. */
const OF_PHOTO: ReadonlySet<Code> = new Set(['not-an-image', 'too-large'])
const OF_LAYOUT: ReadonlySet<Code> = new Set(['refused'])
/** Not now, by order. */
const NOT_PAID: ReadonlySet<Code> = new Set(['limit-reached', 'changing-too-fast'])
/** So many versions of a photo within a minute, and no more are paid for: somebody writes in a loop. */
const MAX_CHANGES = 10

/**
 * The one door through which money is spent: makes sure that the cutouts of a source exist. Looks, claims, looks again, pays;
 * whoever does not get the claim waits for the cutout, unless `wait` is false; with `pay` false it only looks. `asker` is whom
 * it is for, as it will stand in claim and receipt. What became of a call without an answer is found out by looking, and nobody
 * pays again before the time of its claim has passed.
 * @throws MattingError too-large, limit-reached, changing-too-fast, not-made: nothing was paid; pending: it may yet appear;
 * no-product: it is there, and blank; changed: the photo is another by now; busy, unavailable; or why CI refused.
 */
export async function ensure(
  parts: Parts,
  asker: string,
  source: Source,
  layouts: readonly Layout[],
  { pay = true, wait = true } = {},
): Promise<Cutout[]> {
  const { cos, store, now, random, deadline } = parts
  const wanted = want(parts, asker, source, layouts)
  const paid = new Set<string>()
  // One blank cutout speaks for all layouts of its photo.
  const blank = () => wanted.some(({ found }) => found?.blank)
  const first = await timed(parts, 'look', absent(store, wanted))
  if (blank()) throw new MattingError('no-product')
  let missing = first
  if (missing.length > 0 && !pay) throw new MattingError('not-made')
  if (missing.length > 0) await timed(parts, 'look', mayPay(parts, source, missing))
  for (let pause = 150; missing.length > 0 && !blank(); ) {
    const won = await timed(parts, 'claim', claimSome(parts, source, missing))
    const bought = won.length > 0 ? await timed(parts, 'pay', buy(parts, asker, source, won)) : []
    for (const { key } of bought) paid.add(key)
    missing = await timed(parts, 'look', absent(store, wanted))
    if (won.length > 0 || missing.length === 0) continue
    // Nobody was, or is, at it.
    if (missing.every(({ attempt }) => attempt < 0)) throw new MattingError('timeout')
    pause = Math.min(2_000, pause * 1.5) * (0.75 + random() / 2)
    if (!wait || now() + pause > deadline - LOOK_TIME) throw new MattingError('pending')
    await timed(parts, 'wait', sleep(pause))
  }
  // CI cuts what lies there when it reads: the cutout of a newer photo must not stay under the name of the one we saw.
  if (first.length > 0 && source.url === undefined && (await cos.head(source.key))?.etag !== source.etag) {
    await Promise.all([...paid].map((key) => store.delete(key)))
    throw new MattingError('changed')
  }
  if (blank()) {
    // So that the other layouts are not paid for.
    const error = new MattingError('no-product')
    await note(parts, source, error)
    throw error
  }
  const by = (one: Missing) => (paid.has(one.key) ? 'made' : first.includes(one) ? 'joined' : 'hit')
  return wanted.map((one) => ({ layout: one.claim.layout, key: one.key, size: one.found?.size ?? 0, by: by(one) }))
}

/**
 * Stores a photo, and has those of its cutouts made on the way (method two) that nobody has made or is making. The ETag of a
 * photo stored at once is its MD5, so it is known beforehand where they will lie, and the trigger that follows finds them.
 * Never fails for a cutout's sake: what is not made is left to the trigger.
 * @throws MattingError if the photo could not be stored
 */
export async function upload(
  parts: Parts,
  key: string,
  photo: Photo,
  layouts: readonly Layout[],
): Promise<{ etag: string; paid: number }> {
  const { cos, store } = parts
  const etag = hash('md5', photo.body)
  const sent: Photo = { ...photo }
  const source: Source = { key, etag, size: photo.body.length, photo: sent }
  const etagNow = async () => (await cos.head(key).catch(() => undefined))?.etag
  const before = await etagNow()
  const won = await prepare(parts, 'upload', source, layouts).catch(() => [])
  const bought = won.length > 0 ? await buy(parts, 'upload', source, won).catch(() => []) : []
  if (!sent.stored) {
    // Without an answer it may have been stored, and replaced by somebody else's newer one since.
    const lies = bought.length > 0 ? await etagNow() : before
    if (lies !== etag && lies === before) await cos.put(key, photo.body, { type: photo.type })
  }
  const missing = await absent(store, bought).catch(() => bought)
  if (bought.some(({ found }) => found?.blank)) await note(parts, source, new MattingError('no-product'))
  return { etag, paid: bought.length - missing.length }
}

/** What a browser needs for a PUT. */
export interface PresignedUpload {
  url: string
  /** To be sent as they are. */
  headers: Record<string, string>
}

/**
 * A signed PUT for somebody else, such as a browser, with the cutouts made on the way: for a new photo (forbid-overwrite is
 * signed), for this one alone (its MD5 and size are), and within so many seconds, 1 to 900. The rights to pay are claimed for that long, so the
 * trigger that follows waits for the cutouts. Undefined if there is nothing to be made: the cutouts are there, being made, or not
 * to be paid for. To a signed PUT without Pic-Operations anybody could add them, so none is handed out.
 *
 * COS verifies only what a signature lists, so the key that signs must be able to do no more than `uploadPolicy` says.
 * @throws MattingError bad-request, unavailable, denied
 */
export async function presignUpload(
  parts: Parts,
  photo: { key: string; md5: string; type: string; size: number },
  layouts: readonly Layout[],
  signer: Credentials,
  seconds = 60,
): Promise<PresignedUpload | undefined> {
  const { config, store, cos } = parts
  const { key, type, size } = photo
  if (!/^[\da-f]{32}$/i.test(photo.md5) || !Number.isInteger(seconds) || seconds < 1 || seconds > 900) {
    throw new MattingError('bad-request', 'Expected an MD5 in hex, and 1 to 900 whole seconds.')
  }
  const md5 = photo.md5.toLowerCase()
  const source: Source = { key, etag: md5, size }
  // As long as the PUT may be sent, and then as long as the vendor ever needs.
  const during = { ...parts, config: { ...config, claimTime: seconds + config.claimTime / 2 } }
  const won = await prepare(during, 'presigned', source, layouts).catch((error: unknown) => {
    if (MattingError.from(error).retryable && !NOT_PAID.has(MattingError.from(error).code)) throw error
    return []
  })
  if (won.length === 0) return undefined
  await writeReceipt(store, receiptOf(during, 'presigned', source, won)).catch(async (error: unknown) => {
    await releaseAll(store, won, 'unavailable')
    throw error
  })
  const headers = {
    'content-md5': Buffer.from(md5, 'hex').toString('base64'),
    'content-type': type,
    'x-cos-forbid-overwrite': 'true',
    ...picOperations(won.map((one) => toRule(config, one))),
  }
  const start = Math.floor(store.clock() / 1000)
  // Its length the browser sends by itself.
  const signed = { method: 'PUT' as const, headers: { ...headers, 'content-length': String(size) }, signer }
  return { url: cos.presign(key, start - 300, start + seconds, signed), headers }
}

function want(
  { config, uuid }: Parts,
  asker: string,
  source: Pick<Source, 'key' | 'etag' | 'modified' | 'asked'>,
  layouts: readonly Layout[],
): Missing[] {
  const id = uuid()
  const { cutoutPrefix: prefix } = config
  return [...new Map(layouts.map((layout) => [layoutName(layout), layout]))].map(([name, layout]) => {
    const claim = { id, asker, layout: name, seconds: config.claimTime, at: '', until: '' }
    // Of a photo that is still to be stored none can have been made.
    const older = source.modified === undefined ? [] : olderKeys(prefix, source, layout)
    const keys = { key: cutoutKey(prefix, source, layout), older, since: source.modified ?? 0 }
    return { ...keys, layout, claim, attempt: -1, claimed: Number.NaN }
  })
}

/** Looks for the cutouts of a photo that is still to come, and claims what may be paid for. @throws MattingError */
async function prepare(parts: Parts, asker: string, source: Source, layouts: readonly Layout[]): Promise<Missing[]> {
  // Nobody would ever be shown them.
  if (!isUnder(source.key, parts.config.sourcePrefixes)) return []
  const wanted = want(parts, asker, source, layouts)
  const missing = await absent(parts.store, wanted)
  if (missing.length > 0) await mayPay(parts, source, missing)
  return claimSome(parts, source, missing)
}

/** Adds the time that `work` takes to its stage's. */
export async function timed<T>({ now, spent }: Parts, stage: Stage, work: Promise<T>): Promise<T> {
  const start = now()
  try {
    return await work
  } finally {
    spent.ms.set(stage, (spent.ms.get(stage) ?? 0) + now() - start)
  }
}

/** What forbids to pay for a source, whoever asks; and which attempts there have been. @throws MattingError */
async function mayPay({ config, store }: Parts, source: Source, missing: readonly Missing[]): Promise<void> {
  const { cutoutPrefix, maxSourceBytes } = config
  if (source.size > maxSourceBytes) throw new MattingError('too-large')
  await checkFailure(
    store,
    cutoutPrefix,
    source,
    missing.map(({ claim }) => claim.layout),
  )
  const changes = new Set<string>()
  const folder = cutoutFolder(cutoutPrefix, source.key)
  for await (const { cutout, attempt, written } of listClaims(store, folder)) {
    // Below the folder of `a.jpg` there may be that of a photo `a.jpg/b.jpg`.
    const version = versionIn(cutout.slice(folder.length))
    if (version && version !== etagPart(source.etag) && store.clock() - written < 60_000) changes.add(version)
    for (const one of missing) if (one.key === cutout) one.attempt = Math.max(one.attempt, attempt)
  }
  if (changes.size >= MAX_CHANGES) throw new MattingError('changing-too-fast')
}

/** @throws MattingError limit-reached, if so many more would be too many today */
async function checkLimit({ config, store }: Parts, more: number): Promise<void> {
  if (config.dailyLimit === Number.POSITIVE_INFINITY) return
  const today = new Date(store.clock()).toISOString().slice(0, 10)
  if ((await countPaid(store, today)) + more > config.dailyLimit) throw new MattingError('limit-reached')
}

/** Claims what is free of the missing cutouts, as many as one request may make. */
async function claimSome(parts: Parts, source: Source, missing: readonly Missing[]): Promise<Missing[]> {
  const { config, store, now, deadline } = parts
  const time = config.claimTime * 1000
  // No time left to see it through: better that nobody holds the claim.
  if (deadline - now() < Math.min(LEAST_TIME, time) + timeAfter(source)) return []
  const looks = missing.slice(0, MAX_RULES).map(async (one) => {
    const { standing } =
      one.attempt < 0 ? { standing: 'over' } : await look(store, claimKey(one.key, one.attempt), one.claim)
    if (standing === 'over') one.attempt++
    return standing === 'over' || standing === 'free' ? one : undefined
  })
  const free = (await Promise.all(looks)).filter((one) => one !== undefined)
  if (free.length > 0) await checkLimit(parts, free.length)
  const claims = await Promise.allSettled(
    free.map(async (one) => {
      one.claim.at = new Date(store.clock()).toISOString()
      one.claim.until = new Date(store.clock() + time).toISOString()
      const { standing, written } = await claim(store, claimKey(one.key, one.attempt), one.claim)
      one.claimed = written
      return standing
    }),
  )
  const won = free.filter((_, i) => claims[i]?.status === 'fulfilled' && claims[i].value === 'ours')
  const failed = claims.find((one) => one.status === 'rejected')
  if (failed) {
    await releaseAll(store, won, 'unavailable')
    throw failed.reason
  }
  return won
}

/** What must be left after a paid call. */
function timeAfter({ url }: Source): number {
  return url === undefined ? LOOK_TIME : STORE_TIME
}

async function releaseAll(store: Cos, held: readonly Missing[], failure: Code): Promise<void> {
  await Promise.all(held.map((one) => release(store, claimKey(one.key, one.attempt), one.claim, failure)))
}

/**
 * Pays for cutouts that were claimed. Returns what was, or may have been, paid for.
 * @throws MattingError if nothing was bought, after the claims were released.
 */
async function buy(parts: Parts, asker: string, source: Source, won: readonly Missing[]): Promise<readonly Missing[]> {
  const { config, cos, store, now, deadline, random } = parts
  // Whoever held the claim before may have bought it after our first look.
  const buying = await absent(store, won).catch(async (error: unknown) => {
    await releaseAll(store, won, 'unavailable')
    throw error
  })
  if (buying.length === 0) return []
  // Half the claim's time to arrive, half to be done: a call that arrives later is refused for its signature, so even an
  // instance that was frozen in between, its clock included, cannot pay after somebody else took over.
  const until = Math.min(...buying.map(({ claimed }) => claimed)) + config.claimTime * 500
  const receipt = receiptOf(parts, asker, source, buying)
  const began = now()
  let tooLarge = false
  try {
    await writeReceipt(store, receipt)
    for (let pause = 200; ; pause *= 2) {
      try {
        tooLarge = !(await send(parts, source, buying, { until, deadline: deadline - timeAfter(source) }))
        break
      } catch (error) {
        // Too many requests at a time: refused before anything was done, so this one may be sent again.
        const time = Math.min(until - store.clock(), deadline - LEAST_TIME - now())
        const again = error instanceof MattingError && error.code === 'busy' && 2 * pause < time
        if (!again) throw error
        await sleep(pause * (0.5 + random()))
      }
    }
  } catch (thrown) {
    let error = MattingError.from(thrown)
    // Not known is not failed, nor is what was done in part: the claim stays, and so does the receipt.
    const left = error.code === 'unknown-outcome' ? [] : await absent(store, buying).catch(() => [])
    if (left.length < buying.length) {
      parts.spent.calls += buying.length
      return buying
    }
    // CI judged what lies there now, which need not be the photo that we saw.
    const stored = source.url === undefined && source.photo === undefined
    if (!error.retryable && stored && (await cos.head(source.key).catch(() => undefined))?.etag !== source.etag) {
      error = new MattingError('changed', undefined, { cause: error })
    }
    await giveUp(parts, source, buying, error)
    await store.delete(receiptKey(receipt)).catch(() => {})
    throw error
  }
  parts.spent.calls += buying.length
  await writeReceipt(store, { ...receipt, outcome: 'bought', ms: now() - began }).catch(() => {})
  if (!tooLarge) return buying
  const error = new MattingError('too-large')
  // The cutout, and not the picture: with less padding it may do.
  for (const { claim } of buying) await note(parts, source, error, claim.layout)
  await releaseAll(store, buying, error.code)
  throw error
}

/** The one paid call; false if the result was bought and was too large to be stored. */
async function send(
  { config, cos, store }: Parts,
  { key, url, photo }: Source,
  buying: readonly Missing[],
  time: { until: number; deadline: number },
): Promise<boolean> {
  if (url !== undefined) return detect({ cos, store }, url, buying, time)
  const rules = buying.map((one) => toRule(config, one))
  await (photo ? cos.upload(key, photo, rules, time) : cos.process(key, rules, time))
  if (photo) photo.stored = true
  return true
}

/** Tells those who wait that nothing comes, and those who come later what is true of the photo until it changes. */
async function giveUp(parts: Parts, source: Source, held: readonly Missing[], error: MattingError): Promise<void> {
  // Not of a picture elsewhere: what its host gave to CI need not be what it gave to us, and may have been a page that says "busy".
  if (OF_PHOTO.has(error.code) && source.url === undefined) await note(parts, source, error)
  // One of them was refused, and nobody knows which: alone, each will tell.
  const [only, ...more] = held
  if (OF_LAYOUT.has(error.code) && only && more.length === 0) await note(parts, source, error, only.claim.layout)
  // Whoever uploads may lack a permission that the functions have.
  await releaseAll(parts.store, held, source.photo && error.code === 'denied' ? 'unavailable' : error.code)
}

async function note({ config, store }: Parts, source: Source, error: MattingError, layout?: string): Promise<void> {
  await writeFailure(store, config.cutoutPrefix, source, error, layout).catch(() => {})
}

function receiptOf({ uuid, store }: Parts, asker: string, { key, etag }: Source, buying: readonly Missing[]): Receipt {
  const at = new Date(store.clock()).toISOString()
  return { id: uuid(), at, asker, source: key, etag, cutouts: buying.map(({ key }) => key), outcome: 'sent', ms: 0 }
}

function toRule({ bucket, cutoutBucket }: Config, { key, layout }: Missing): PicRule {
  return { ...(cutoutBucket !== bucket && { bucket: cutoutBucket }), fileid: `/${key}`, rule: rule(layout) }
}

/** Buys cutouts of a picture elsewhere, one after the other, and stores them; false if one was too large to be stored. */
async function detect(
  { cos, store }: Pick<Parts, 'cos' | 'store'>,
  url: string,
  buying: readonly Missing[],
  time: { until: number; deadline: number },
): Promise<boolean> {
  // Sent again after "later", it goes on where it was.
  for (const one of buying.filter(({ found }) => !found)) {
    const png = await cos.detect(url, one.layout, time)
    if (!png) return false
    await store.put(one.key, png, { type: 'image/png' }).catch((cause: unknown) => {
      // It was bought: nobody is to buy it again at once.
      throw new MattingError('unknown-outcome', undefined, { cause })
    })
    one.found = { size: png.length, blank: await isBlank(Readable.from([png])) }
  }
  return true
}

/**
 * Which of the cutouts are not there. The look at one is a GET of its first bytes instead of a HEAD, for no further request:
 * they tell whether it is blank.
 */
async function absent(store: Cos, wanted: readonly Missing[]): Promise<Missing[]> {
  await Promise.all(
    wanted.map(async (one) => {
      if (one.found) return
      // Older keys once, for nobody writes there any more; and not what may have been made of another version.
      for (const key of [one.key, ...one.older.splice(0)]) {
        const cutout = await store.pieces(key)
        if (!cutout || (key !== one.key && cutout.modified < one.since)) continue
        one.found = { size: cutout.size, blank: await isBlank(cutout.pieces) }
        one.key = key
        return
      }
    }),
  )
  return wanted.filter(({ found }) => !found)
}
