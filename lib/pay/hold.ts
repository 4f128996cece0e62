import { cutoutFolder, etagPart, versionIn } from '../cutout.ts'
import { type Code, MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import { type Claim, claim, claimKey, listClaims, look, redate, release } from './claim.ts'
import { checkFailure } from './failure.ts'
import { giveBack, listed, take } from './limit.ts'
import type { Source, Wanted } from './work.ts'

/** A cutout that may be paid for: its claim is ours. */
export interface Held extends Wanted {
  attempt: number
  claim: Claim
  /** When COS wrote it, in milliseconds since the epoch. */
  written: number
}

/** The latest known attempt at each cutout, by the cutout's key; no entry before the first attempt. */
export type Attempts = ReadonlyMap<string, number>

/** For whom to claim, and for how long. */
export interface Holder {
  id: string
  asker: string
  seconds: number
  /** The photo comes with the paid call itself. */
  photo?: 'awaited'
}

/** The vendor's limit for one request (product/436/74972). */
export const MAX_RULES = 5
/** A matting call needs at least this time: 1.6 to 4.4 s are usual. In milliseconds. */
export const PAY_TIME = 5_000
/** LOOK_TIME is for a last look and a log line, STORE_TIME for storing the cutout of a picture elsewhere; in milliseconds. */
export const LOOK_TIME = 1_000
const STORE_TIME = 4_000
/** After so many versions of a photo within a minute no more are paid for, because somebody writes in a loop. */
const MAX_CHANGES = 10

/** The time that must be left after a paid call, in milliseconds. */
export function timeAfter({ url }: Source): number {
  return url === undefined ? LOOK_TIME : STORE_TIME
}

/** The longest time that the vendor needs when it has the photo and the request, in seconds. */
export function vendorTime({ config }: Pick<Invocation, 'config'>): number {
  return config.claimTime / 2
}

/** Checks that nothing forbids paying for a source, and returns the attempts so far. @throws MattingError */
export async function checkPayable(
  { config, store }: Invocation,
  source: Source,
  missing: readonly Wanted[],
): Promise<Attempts> {
  const { cutoutPrefix, maxSourceBytes } = config
  if (source.size > maxSourceBytes) throw new MattingError('too-large')
  await checkFailure(
    store,
    cutoutPrefix,
    source,
    missing.map(({ name }) => name),
  )
  const changes = new Set<string>()
  const attempts = new Map<string, number>()
  const folder = cutoutFolder(cutoutPrefix, source.key)
  for await (const { cutout, attempt, written } of listClaims(store, folder)) {
    // Inside the folder of `a.jpg` there may be that of a photo `a.jpg/b.jpg`.
    const version = versionIn(cutout.slice(folder.length))
    if (version && version !== etagPart(source.etag) && store.clock() - written < 60_000) changes.add(version)
    if (missing.some(({ key }) => key === cutout)) attempts.set(cutout, Math.max(attempt, attempts.get(cutout) ?? 0))
  }
  if (changes.size >= MAX_CHANGES) throw new MattingError('changing-too-fast')
  return attempts
}

/**
 * Claims the missing cutouts that are free, but no more than one request may make. `stored`: the photo was seen in the bucket.
 * What is held was taken from what DAILY_LIMIT leaves, so `listed` must follow.
 * @throws MattingError limit-reached, unavailable; the failure of a claim's holder
 */
export async function hold(
  invocation: Invocation,
  holder: Holder,
  source: Source,
  missing: readonly Wanted[],
  attempts: Attempts,
  stored: boolean,
): Promise<{ held: Held[]; attempts: Attempts }> {
  const { config, store, now, deadline } = invocation
  // There is not enough time to finish, so it is better not to claim.
  if (deadline - now() < Math.min(PAY_TIME, config.claimTime * 1000) + timeAfter(source)) return { held: [], attempts }
  const looks = missing.slice(0, MAX_RULES).map(async (one) => {
    const last = attempts.get(one.key)
    if (last === undefined) return { one, attempt: 0 }
    const { standing } = await look(store, claimKey(one.key, last), holder)
    if (standing === 'late' && stored) await redate(store, claimKey(one.key, last), vendorTime(invocation))
    else if (standing === 'late' || standing === 'over') return { one, attempt: last + 1 }
    return standing === 'free' ? { one, attempt: last } : undefined
  })
  const all = (await Promise.all(looks)).filter((look) => look !== undefined)
  // Some of them, if not all may be paid for.
  const free = all.slice(0, Math.max(1, invocation.allowance?.left ?? MAX_RULES))
  if (free.length > 0) await take(invocation, free.length)
  const claims = await Promise.allSettled(
    free.map(async ({ one, attempt }) => {
      const at = store.clock()
      const { id, asker, seconds, photo } = holder
      const until = new Date(at + seconds * 1000).toISOString()
      const mine: Claim = {
        id,
        asker,
        layout: one.name,
        seconds,
        at: new Date(at).toISOString(),
        until,
        ...(photo && { photo }),
      }
      const { standing, written } = await claim(store, claimKey(one.key, attempt), mine)
      return { standing, held: { ...one, attempt, claim: mine, written } }
    }),
  )
  const held = claims.flatMap((one) =>
    one.status === 'fulfilled' && one.value.standing === 'ours' ? [one.value.held] : [],
  )
  const failed = claims.find((one) => one.status === 'rejected')
  listed(invocation, free.length - (failed ? 0 : held.length))
  giveBack(invocation, free.length - (failed ? 0 : held.length))
  if (failed) {
    await releaseAll(store, held, 'unavailable')
    throw failed.reason
  }
  return { held, attempts: new Map([...attempts, ...free.map(({ one, attempt }) => [one.key, attempt] as const)]) }
}

/** Tells those who wait that nothing was bought. */
export async function releaseAll(store: Invocation['store'], held: readonly Held[], failure: Code): Promise<void> {
  await Promise.all(held.map((one) => release(store, claimKey(one.key, one.attempt), one.claim, failure)))
}
