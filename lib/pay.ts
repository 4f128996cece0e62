import { setTimeout as sleep } from 'node:timers/promises'
import { type Claim, claim, claimKey, listClaims, look, release } from './claim.ts'
import type { Config } from './config.ts'
import type { Cos } from './cos.ts'
import { cutoutFolder, cutoutKey, etagPart } from './cutout.ts'
import { type Code, MattingError } from './errors.ts'
import { type Layout, layoutName, rule } from './layout.ts'
import { countPaid, type Receipt, receiptKey, writeReceipt } from './receipt.ts'

/** A photo as HEAD saw it. */
export interface Source {
  key: string
  etag: string
  size: number
}

export interface Cutout {
  /** Short name of its layout. */
  layout: string
  key: string
  /** Whether this very call paid for it, as far as it knows. */
  paid: boolean
}

/** What both functions work with. */
export interface Parts {
  config: Config
  cos: Cos
  now: () => number
  random: () => number
  uuid: () => string
  /** Milliseconds since the epoch, our clock. */
  deadline: number
}

/** A cutout that is not there. */
interface Missing {
  key: string
  rule: string
  claim: Claim
  /** The number of the attempt under way, by whomever; -1 before the first. */
  attempt: number
  /** When that attempt's claim was written, by COS's clock. */
  claimed: number
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
 * whoever does not get the claim waits for the cutout. `asker` is whom it is for, as it will stand in claim and receipt. What became of a call without an answer is found out by looking, and
 * nobody pays again before the time of its claim has passed.
 * @throws MattingError too-large, limit-reached, changing-too-fast: nothing was paid; pending: it may yet appear; changed: the
 * photo is another by now; busy, unavailable; or why CI refused.
 */
export async function ensure(
  parts: Parts,
  asker: string,
  source: Source,
  layouts: readonly Layout[],
): Promise<Cutout[]> {
  const { config, cos, now, random, deadline } = parts
  const id = parts.uuid()
  const wanted = [...new Map(layouts.map((layout) => [layoutName(layout), layout]))].map(([name, layout]): Missing => {
    const claim = { id, asker, layout: name, seconds: config.claimTime, at: '', until: '' }
    return {
      key: cutoutKey(config.cutoutPrefix, source, layout),
      rule: rule(layout),
      claim,
      attempt: -1,
      claimed: Number.NaN,
    }
  })
  const paid = new Set<string>()
  let missing = await absent(cos, wanted)
  if (missing.length > 0) await mayPay(parts, source, missing)
  for (let pause = 150; missing.length > 0; ) {
    const won = await claimSome(parts, missing)
    for (const { key } of await buy(parts, asker, source, won)) paid.add(key)
    missing = await absent(cos, missing)
    if (won.length > 0 || missing.length === 0) continue
    pause = Math.min(2_000, pause * 1.5) * (0.75 + random() / 2)
    if (now() + pause > deadline - LOOK_TIME) throw new MattingError('pending')
    await sleep(pause)
  }
  // CI cuts what lies there when it reads: the cutout of a newer photo must not stay under the name of the one we saw.
  if (paid.size > 0 && (await cos.head(source.key))?.etag !== source.etag) {
    await Promise.all([...paid].map((key) => cos.delete(key)))
    throw new MattingError('changed')
  }
  return wanted.map(({ key, claim }) => ({ layout: claim.layout, key, paid: paid.has(key) }))
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
  const rules = buying.map(({ key, rule }) => ({ fileid: `/${key}`, rule }))
  const began = now()
  try {
    await writeReceipt(cos, receipt)
    for (let pause = 200; ; pause *= 2) {
      try {
        await cos.process(source.key, rules, { until, deadline: deadline - LOOK_TIME })
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
    if (!error.retryable && (await cos.head(source.key).catch(() => undefined))?.etag !== source.etag) {
      error = new MattingError('changed', undefined, { cause: error })
    }
    await releaseAll(cos, buying, error.code)
    await cos.delete(receiptKey(receipt)).catch(() => {})
    throw error
  }
  await writeReceipt(cos, { ...receipt, outcome: 'bought', ms: now() - began }).catch(() => {})
  return buying
}

async function absent<T extends { key: string }>(cos: Cos, wanted: readonly T[]): Promise<T[]> {
  const found = await Promise.all(wanted.map(({ key }) => cos.head(key)))
  return wanted.filter((_, i) => found[i] === undefined)
}
