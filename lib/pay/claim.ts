import { setTimeout as sleep } from 'node:timers/promises'
import type { Cos } from '../cos.ts'
import { RECORDS } from '../cutout.ts'
import { type Code, codes, MattingError } from '../errors.ts'

/**
 * The right to pay for one cutout: one object for each attempt, `…/0`, `…/1`, written with forbid-overwrite. It is never
 * deleted by this project: an attempt that could be claimed twice could be paid twice.
 */
export interface Claim {
  /** Of whoever holds it: another for each call of `ensure`, or a repeated event would take its own claim for leave to pay again. */
  id: string
  /** Whom it was for. */
  asker: string
  layout: string
  /** How long it holds, from when COS wrote it: `Last-Modified` counts, for the clocks of instances differ. */
  seconds: number
  /** The same for people to read: ISO 8601. */
  at: string
  until: string
  /**
   * Of method two, where the photo is still to come: nobody knows how long its bytes take. When the claim's time has passed,
   * whoever sees the photo dates the claim anew, once, and gives the vendor its time from then.
   */
  photo?: 'awaited' | 'seen'
  /** Set when nothing was bought. If a retry can mend it, the next attempt is free at once. */
  failure?: Code
}

/**
 * Where an attempt stands. A free one was never claimed; it is not to be skipped, or somebody else would find it free as well.
 * Of a late one the time has passed, but its photo may still be on its way, or just have arrived.
 */
export type Standing = 'free' | 'ours' | 'taken' | 'late' | 'over'

/** How an attempt stands, and since when by COS's clock, in milliseconds since the epoch; NaN if it is free. */
export interface Look {
  standing: Standing
  written: number
}

/** Added to a claim's time, because the dates of HTTP are whole seconds. In milliseconds. */
export const ROUNDING = 2_000
/**
 * Pause before a written claim is read back. COS documents no atomicity of forbid-overwrite, and speaks of conflicts within
 * milliseconds: should two writers be let through, the later one's claim stands, and both see it.
 */
const SETTLE = 100

const FOLDER = `${RECORDS}claims/`

/** The key of an attempt at a cutout. */
export function claimKey(cutout: string, attempt: number): string {
  return `${FOLDER}${cutout}/${attempt}`
}

/** The attempts at the cutouts of a source, oldest photo or newest: one LIST. */
export async function* listClaims(cos: Cos, cutoutFolder: string) {
  for await (const { key, written } of cos.list(FOLDER + cutoutFolder)) {
    const [, cutout, attempt] = /^(.*)\/(\d+)$/.exec(key.slice(FOLDER.length)) ?? []
    if (cutout !== undefined) yield { cutout, attempt: Number(attempt), written }
  }
}

/** Tries to claim an attempt. @throws MattingError as `look` does */
export async function claim(cos: Cos, key: string, mine: Claim): Promise<Look> {
  const written = await cos
    .put(key, JSON.stringify(mine), { type: 'application/json', forbidOverwrite: true })
    .catch((error: unknown) => {
      // Without an answer it may have been written all the same; reading it tells.
      if (error instanceof MattingError && error.code === 'unavailable') return true
      throw error
    })
  if (written) await sleep(SETTLE)
  return look(cos, key, mine)
}

/**
 * How an attempt stands.
 * @throws MattingError its holder's failure, while the claim holds, if waiting will not mend it; unavailable
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
  // An operator may mend what is about the account, but asking again at once does not: that would be a claim for each request.
  if (codes.get(failure)?.about !== 'moment') throw new MattingError(failure)
  return { standing: 'over', written }
}

/**
 * Dates the claim of an upload anew: the photo is there, or nothing more of it is to come, and from now on the vendor has
 * `seconds`. Written late, by an instance that was frozen, it harms nobody: by then a later attempt counts.
 */
export async function redate(cos: Cos, key: string, seconds: number): Promise<void> {
  const found = await cos.get(key)
  const claim = found && readClaim(found.body)
  if (claim?.photo !== 'awaited' || claim.failure !== undefined) return
  const body = JSON.stringify({ ...Object(JSON.parse(found?.body ?? '{}')), seconds, photo: 'seen' })
  await cos.put(key, body, { type: 'application/json' })
}

/** Tells those who wait that nothing was bought. Should this fail, they wait until the claim's time has passed. */
export async function release(cos: Cos, key: string, mine: Claim, failure: Code): Promise<void> {
  await cos.put(key, JSON.stringify({ ...mine, failure }), { type: 'application/json' }).catch(() => {})
}

/** A claim somebody else scribbled on holds as long as one of ours would. */
function readClaim(text: string): { id?: unknown } & Partial<Pick<Claim, 'seconds' | 'photo' | 'failure'>> {
  try {
    const { id, seconds, photo, failure } = Object(JSON.parse(text))
    return {
      id,
      ...(typeof seconds === 'number' && { seconds }),
      ...((photo === 'awaited' || photo === 'seen') && { photo }),
      ...(isCode(failure) && { failure }),
    }
  } catch {
    return {}
  }
}

function isCode(value: unknown): value is Code {
  return typeof value === 'string' && codes.has(value)
}
