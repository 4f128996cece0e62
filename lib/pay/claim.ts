import { setTimeout as sleep } from 'node:timers/promises'
import type { Cos } from '../cos.ts'
import { RECORDS } from '../cutout.ts'
import { type Code, codes, isCode, MattingError } from '../errors.ts'

/**
 * The right to pay for one cutout: one object for each attempt, `…/0`, `…/1`, written with forbid-overwrite. The functions never
 * delete it, because an attempt that could be claimed twice could be paid twice.
 */
export interface Claim {
  /**
   * Identifies the holder. Each call of `ensure` has its own; otherwise a repeated event would find its old claim and pay
   * again.
   */
  id: string
  /** For whom the cutout is made. */
  asker: string
  layout: string
  /** How long it holds, counted from its `Last-Modified`, which is COS's, because the clocks of instances differ. */
  seconds: number
  /** Start and end in ISO 8601, only for people to read. */
  at: string
  until: string
  /**
   * For method two, where the photo is still to come, and nobody knows how long its bytes take. When the claim's time has
   * passed, the first instance that sees the photo dates the claim anew, once, so that the vendor has its time from then on.
   */
  photo?: 'awaited' | 'seen'
  /** Set when nothing was bought. If it is about the moment, the next attempt is free at once. */
  failure?: Code
}

/**
 * The state of an attempt. A `free` one was never claimed; it must not be skipped, because another instance would also find it
 * free. The time of a `late` one has passed, but its photo may still be on its way, or may have just arrived.
 */
export type Standing = 'free' | 'ours' | 'taken' | 'late' | 'over'

/**
 * The state of an attempt, and when its claim was written, by COS's clock in milliseconds since the epoch; NaN if it is free.
 */
export interface Look {
  standing: Standing
  written: number
}

/** Added to a claim's time, because HTTP dates have whole seconds. In milliseconds. */
export const ROUNDING = 2_000
/**
 * Pause before a written claim is read back, in milliseconds. COS does not document that forbid-overwrite is atomic, and
 * mentions conflicts within milliseconds. If it lets two writers through, the later claim counts, and both read it.
 */
const READ_BACK = 100

const FOLDER = `${RECORDS}claims/`

/** The key of an attempt at a cutout. */
export function claimKey(cutout: string, attempt: number): string {
  return `${FOLDER}${cutout}/${attempt}`
}

/** The attempts at the cutouts of all versions of a source: one LIST. Or those at all cutouts under a prefix. */
export async function* listClaims(cos: Cos, cutoutFolder: string) {
  for await (const { key, size, written } of cos.list(FOLDER + cutoutFolder)) {
    const [, cutout, attempt] = /^(.*)\/(\d+)$/.exec(key.slice(FOLDER.length)) ?? []
    if (cutout !== undefined) yield { key, size, cutout, attempt: Number(attempt), written }
  }
}

/** An attempt as it stands, for people to read. */
export interface Attempt {
  asker: string
  /** From when until when it holds, by COS's clock; milliseconds since the epoch. */
  written: number
  until: number
  standing: 'held' | 'over' | 'failed'
  failure?: Code
}

/** Reads an attempt; undefined if it was never claimed. @throws MattingError unavailable */
export async function readAttempt(cos: Cos, key: string, standard: number): Promise<Attempt | undefined> {
  const found = await cos.get(key)
  if (!found) return undefined
  const { asker = '', seconds = standard, failure } = readClaim(found.body)
  const until = found.written + seconds * 1000 + ROUNDING
  const standing = failure !== undefined ? 'failed' : found.read < until ? 'held' : 'over'
  return { asker, written: found.written, until, standing, ...(failure && { failure }) }
}

/**
 * Whether nothing of an attempt can be under way any more: it was last written at least `age` milliseconds ago, and twice its
 * own time has passed.
 */
export async function isPast(cos: Cos, key: string, age: number): Promise<boolean> {
  const found = await cos.get(key)
  if (!found) return false
  const { seconds = 0 } = readClaim(found.body)
  return found.read - found.written >= Math.max(age, 2 * seconds * 1000 + ROUNDING)
}

/** Tries to claim an attempt. @throws MattingError as `look` does */
export async function claim(cos: Cos, key: string, mine: Claim): Promise<Look> {
  const written = await cos
    .put(key, JSON.stringify(mine), { type: 'application/json', forbidOverwrite: true })
    .catch((error: unknown) => {
      // Without an answer it may have been written or not; reading it tells.
      if (error instanceof MattingError && error.code === 'unavailable') return true
      throw error
    })
  if (written) await sleep(READ_BACK)
  return look(cos, key, mine)
}

/**
 * Reads the state of an attempt.
 * @throws MattingError the failure of its holder, while the claim holds, unless it is about the moment; unavailable
 */
export async function look(cos: Cos, key: string, mine: Pick<Claim, 'id' | 'seconds'>): Promise<Look> {
  const found = await cos.get(key)
  if (!found) return { standing: 'free', written: Number.NaN }
  const { written } = found
  const { id, seconds = mine.seconds, photo, failure } = readClaim(found.body)
  if (found.read - written >= seconds * 1000 + ROUNDING) {
    return { standing: photo === 'awaited' && failure === undefined ? 'late' : 'over', written }
  }
  if (failure === undefined) return { standing: id === mine.id ? 'ours' : 'taken', written }
  // An operator may mend an error about the account, but a new attempt does not: there would be a claim for each request.
  if (codes.get(failure)?.about !== 'moment') throw new MattingError(failure)
  return { standing: 'over', written }
}

/**
 * Dates the claim of an upload anew: the photo is there, or no more of it will come, and from now on the vendor has `seconds`.
 * If an instance was frozen and writes this late, it does no harm, because a later attempt counts by then.
 */
export async function redate(cos: Cos, key: string, seconds: number): Promise<void> {
  const found = await cos.get(key)
  const claim = found && readClaim(found.body)
  if (claim?.photo !== 'awaited' || claim.failure !== undefined) return
  const body = JSON.stringify({ ...Object(JSON.parse(found?.body ?? '{}')), seconds, photo: 'seen' })
  await cos.put(key, body, { type: 'application/json' })
}

/** Tells those who wait that nothing was bought. If this fails, they wait until the claim's time has passed. */
export async function release(cos: Cos, key: string, mine: Claim, failure: Code): Promise<void> {
  await cos.put(key, JSON.stringify({ ...mine, failure }), { type: 'application/json' }).catch(() => {})
}

/** A claim that cannot be read holds as long as one of ours would. */
function readClaim(text: string): { id?: unknown } & Partial<Pick<Claim, 'asker' | 'seconds' | 'photo' | 'failure'>> {
  try {
    const { id, asker, seconds, photo, failure } = Object(JSON.parse(text))
    return {
      id,
      ...(typeof asker === 'string' && { asker }),
      ...(typeof seconds === 'number' && { seconds }),
      ...((photo === 'awaited' || photo === 'seen') && { photo }),
      ...(isCode(failure) && { failure }),
    }
  } catch {
    return {}
  }
}
