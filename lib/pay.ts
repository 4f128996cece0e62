import { setTimeout as sleep } from 'node:timers/promises'
import { isBlank } from './blank.ts'
import { type Claim, claim, claimKey, listClaims, look, release } from './claim.ts'
import type { Config } from './config.ts'
import type { Cos, PicRule } from './cos.ts'
import { cutoutFolder, cutoutKey, etagPart } from './cutout.ts'
import { type Code, MattingError } from './errors.ts'
import { type Layout, layoutName, rule } from './layout.ts'
import { countPaid, type Receipt, receiptKey, writeReceipt } from './receipt.ts'

/** A photo as HEAD saw it, or a picture elsewhere. */
export interface Source {
  /** Of a picture elsewhere, the URL that was asked for. */
  key: string
  etag: string
  size: number
  /** Of a picture elsewhere: where the vendor is to fetch it. */
  url?: string
}

export interface Cutout {
  /** Short name of its layout. */
  layout: string
  key: string
  /** `made`: this very call paid for it, as far as it knows; `joined`: somebody else made it meanwhile. */
  by: 'hit' | 'made' | 'joined'
}

export type Stage = 'look' | 'claim' | 'pay' | 'wait'

/** What both functions work with. */
export interface Parts {
  config: Config
  cos: Cos
  now: () => number
  random: () => number
  uuid: () => string
  /** Milliseconds since the epoch, our clock. */
  deadline: number
  /** Where the time went, in milliseconds; `ensure` adds to it. */
  spent: Map<Stage, number>
}

/** A cutout that is not there. */
interface Missing {
  key: string
  layout: Layout
  claim: Claim
  /** The number of the attempt under way, by whomever; -1 before the first. */
  attempt: number
  /** When that attempt's claim was written, by COS's clock. */
  claimed: number
  /** Once it is there. */
  blank?: boolean
}

/** The vendor's bound for one request (product/436/74972). */
const MAX_RULES = 5
/** Less time than this is not enough for a matting call: 1.6 to 4.4 s are usual. In milliseconds. */
const LEAST_TIME = 5_000
/** What a last look and a log line need, in milliseconds. */
const LOOK_TIME = 1_000
/** So many versions of a photo within a minute, and no more are paid for: somebody writes in a loop. */
const MAX_CHANGES = 10

/**
 * The one door through which money is spent: makes sure that the cutouts of a source exist. Looks, claims, looks again, pays;
 * whoever does not get the claim waits for the cutout, unless `wait` is false; with `pay` false it only looks. `asker` is whom it is for, as it will stand in
 * claim and receipt. What became of a call without an answer is found out by looking, and nobody pays again before the time of
 * its claim has passed.
 * @throws MattingError too-large, limit-reached, changing-too-fast, not-made: nothing was paid; pending: it may yet appear; no-product: it
 * is there, and blank; changed: the photo is another by now; busy, unavailable; or why CI refused.
 */
export async function ensure(
  parts: Parts,
  asker: string,
  source: Source,
  layouts: readonly Layout[],
  { pay = true, wait = true } = {},
): Promise<Cutout[]> {
  const { config, cos, now, random, deadline } = parts
  const id = parts.uuid()
  const wanted = [...new Map(layouts.map((layout) => [layoutName(layout), layout]))].map(([name, layout]): Missing => {
    const claim = { id, asker, layout: name, seconds: config.claimTime, at: '', until: '' }
    return { key: cutoutKey(config.cutoutPrefix, source, layout), layout, claim, attempt: -1, claimed: Number.NaN }
  })
  const paid = new Set<string>()
  const absentees = () => timed(parts, 'look', absent(cos, wanted))
  const first = await absentees()
  let missing = first
  const noProduct = () => wanted.some(({ blank }) => blank)
  if (noProduct()) throw new MattingError('no-product')
  if (missing.length > 0 && !pay) throw new MattingError('not-made')
  if (missing.length > 0) await timed(parts, 'look', mayPay(parts, source, missing))
  for (let pause = 150; missing.length > 0; ) {
    const won = await timed(parts, 'claim', claimSome(parts, missing))
    const bought = won.length > 0 ? await timed(parts, 'pay', buy(parts, asker, source, won)) : []
    for (const { key } of bought) paid.add(key)
    missing = await absentees()
    if (won.length > 0 || missing.length === 0) continue
    pause = Math.min(2_000, pause * 1.5) * (0.75 + random() / 2)
    if (!wait || now() + pause > deadline - LOOK_TIME) throw new MattingError('pending')
    await timed(parts, 'wait', sleep(pause))
  }
  // CI cuts what lies there when it reads: the cutout of a newer photo must not stay under the name of the one we saw.
  if (paid.size > 0 && source.url === undefined && (await cos.head(source.key))?.etag !== source.etag) {
    await Promise.all([...paid].map((key) => cos.delete(key)))
    throw new MattingError('changed')
  }
  if (noProduct()) throw new MattingError('no-product')
  const by = (one: Missing) => (paid.has(one.key) ? 'made' : first.includes(one) ? 'joined' : 'hit')
  return wanted.map((one) => ({ layout: one.claim.layout, key: one.key, by: by(one) }))
}

/** Adds the time that `work` takes to its stage's. */
export async function timed<T>({ now, spent }: Parts, stage: Stage, work: Promise<T>): Promise<T> {
  const start = now()
  try {
    return await work
  } finally {
    spent.set(stage, (spent.get(stage) ?? 0) + now() - start)
  }
}

/** What forbids to pay for a source, whoever asks; and which attempts there have been. @throws MattingError */
async function mayPay({ config, cos }: Parts, source: Source, missing: readonly Missing[]): Promise<void> {
  const { cutoutPrefix, maxSourceBytes } = config
  if (source.size > maxSourceBytes) throw new MattingError('too-large')
  const changes = new Set<string>()
  const folder = cutoutFolder(cutoutPrefix, source.key)
  for await (const { cutout, attempt, written } of listClaims(cos, folder)) {
    // Below the folder of `a.jpg` there may be that of a photo `a.jpg/b.jpg`.
    const [, version] = /^(\w+)-[^/]*$/.exec(cutout.slice(folder.length)) ?? []
    if (version && version !== etagPart(source.etag) && cos.clock() - written < 60_000) changes.add(version)
    for (const one of missing) if (one.key === cutout) one.attempt = Math.max(one.attempt, attempt)
  }
  if (changes.size >= MAX_CHANGES) throw new MattingError('changing-too-fast')
}

/** @throws MattingError limit-reached, if so many more would be too many today */
async function checkLimit({ config, cos }: Parts, more: number): Promise<void> {
  if (config.dailyLimit === Number.POSITIVE_INFINITY) return
  const today = new Date(cos.clock()).toISOString().slice(0, 10)
  if ((await countPaid(cos, today)) + more > config.dailyLimit) throw new MattingError('limit-reached')
}

/** Claims what is free of the missing cutouts, as many as one request may make. */
async function claimSome(parts: Parts, missing: readonly Missing[]): Promise<Missing[]> {
  const { config, cos, now, deadline } = parts
  const time = config.claimTime * 1000
  // No time left to see it through: better that nobody holds the claim.
  if (deadline - now() < Math.min(LEAST_TIME, time) + LOOK_TIME) return []
  const looks = missing.slice(0, MAX_RULES).map(async (one) => {
    const { standing } =
      one.attempt < 0 ? { standing: 'over' } : await look(cos, claimKey(one.key, one.attempt), one.claim)
    if (standing === 'over') one.attempt++
    return standing === 'over' || standing === 'free' ? one : undefined
  })
  const free = (await Promise.all(looks)).filter((one) => one !== undefined)
  if (free.length > 0) await checkLimit(parts, free.length)
  const claims = await Promise.allSettled(
    free.map(async (one) => {
      one.claim.at = new Date(cos.clock()).toISOString()
      one.claim.until = new Date(cos.clock() + time).toISOString()
      const { standing, written } = await claim(cos, claimKey(one.key, one.attempt), one.claim)
      one.claimed = written
      return standing
    }),
  )
  const won = free.filter((_, i) => claims[i]?.status === 'fulfilled' && claims[i].value === 'ours')
  const failed = claims.find((one) => one.status === 'rejected')
  if (failed) {
    await releaseAll(cos, won, 'unavailable')
    throw failed.reason
  }
  return won
}

async function releaseAll(cos: Cos, held: readonly Missing[], failure: Code): Promise<void> {
  await Promise.all(held.map((one) => release(cos, claimKey(one.key, one.attempt), one.claim, failure)))
}

/**
 * Pays for cutouts that were claimed. Returns what was, or may have been, paid for.
 * @throws MattingError if nothing was bought, after the claims were released.
 */
async function buy(parts: Parts, asker: string, source: Source, won: readonly Missing[]): Promise<readonly Missing[]> {
  const { config, cos, now, deadline, random } = parts
  // Whoever held the claim before may have bought it after our first look.
  const buying = await absent(cos, won).catch(async (error: unknown) => {
    await releaseAll(cos, won, 'unavailable')
    throw error
  })
  if (buying.length === 0) return []
  // Half the claim's time to arrive, half to be done: a call that arrives later is refused for its signature, so even an
  // instance that was frozen in between, its clock included, cannot pay after somebody else took over.
  const until = Math.min(...buying.map(({ claimed }) => claimed)) + config.claimTime * 500
  const receipt: Receipt = {
    id: parts.uuid(),
    at: new Date(cos.clock()).toISOString(),
    asker,
    source: source.key,
    etag: source.etag,
    cutouts: buying.map(({ key }) => key),
    outcome: 'sent',
    ms: 0,
  }
  const began = now()
  let tooLarge = false
  try {
    await writeReceipt(cos, receipt)
    for (let pause = 200; ; pause *= 2) {
      try {
        const time = { until, deadline: deadline - LOOK_TIME }
        if (source.url === undefined) await cos.process(source.key, buying.map(toRule), time)
        else tooLarge = !(await detect(cos, source.url, buying, time))
        break
      } catch (error) {
        // Too many requests at a time: refused before anything was done, so this one may be sent again.
        const time = Math.min(until - cos.clock(), deadline - LEAST_TIME - now())
        const again = error instanceof MattingError && error.code === 'busy' && 2 * pause < time
        if (!again) throw error
        await sleep(pause * (0.5 + random()))
      }
    }
  } catch (thrown) {
    let error = MattingError.from(thrown)
    // Not known is not failed, nor is what was done in part: the claim stays, and so does the receipt.
    const left = error.code === 'unknown-outcome' ? [] : await absent(cos, buying).catch(() => [])
    if (left.length < buying.length) return buying
    // CI judged what lies there now, which need not be the photo that we saw.
    if (
      !error.retryable &&
      source.url === undefined &&
      (await cos.head(source.key).catch(() => undefined))?.etag !== source.etag
    ) {
      error = new MattingError('changed', undefined, { cause: error })
    }
    await releaseAll(cos, buying, error.code)
    await cos.delete(receiptKey(receipt)).catch(() => {})
    throw error
  }
  await writeReceipt(cos, { ...receipt, outcome: 'bought', ms: now() - began }).catch(() => {})
  if (tooLarge) {
    await releaseAll(cos, buying, 'too-large')
    throw new MattingError('too-large')
  }
  return buying
}

function toRule({ key, layout }: Missing): PicRule {
  return { fileid: `/${key}`, rule: rule(layout) }
}

/** Buys cutouts of a picture elsewhere, one after the other, and stores them; false if one was too large to be stored. */
async function detect(
  cos: Cos,
  url: string,
  buying: readonly Missing[],
  time: { until: number; deadline: number },
): Promise<boolean> {
  for (const { key, layout } of buying) {
    const png = await cos.detect(url, layout, time)
    if (!png) return false
    await cos.put(key, png, { type: 'image/png' }).catch((cause: unknown) => {
      // It was bought: nobody is to buy it again at once.
      throw new MattingError('unknown-outcome', undefined, { cause })
    })
  }
  return true
}

/**
 * Which of the cutouts are not there. The look at one is a GET of its first bytes instead of a HEAD, for no further request:
 * they tell whether it is blank.
 */
async function absent(cos: Cos, wanted: readonly Missing[]): Promise<Missing[]> {
  const found = await Promise.all(
    wanted.map(async (one) => {
      if (one.blank !== undefined) return true
      const pieces = await cos.pieces(one.key)
      if (pieces) one.blank = await isBlank(pieces)
      return pieces !== undefined
    }),
  )
  return wanted.filter((_, i) => !found[i])
}
