import { setTimeout as sleep } from 'node:timers/promises'
import type { Cos } from './cos.ts'
import { RECORDS } from './cutout.ts'
import { type Code, codes, MattingError } from './errors.ts'

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
  /** Set when nothing was bought. If a retry can mend it, the next attempt is free at once. */
  failure?: Code
}

/** Where an attempt stands. A free one was never claimed; it is not to be skipped, or somebody else would find it free as well. */
export type Standing = 'free' | 'ours' | 'taken' | 'over'

/** Added to a claim's time, because the dates of HTTP are whole seconds. */
const ROUNDING = 2_000
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

/** How an attempt stands, and since when by COS's clock, in milliseconds since the epoch; NaN if it is free. */
export interface Look {
  standing: Standing
  written: number
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
export async function look(cos: Cos, key: string, mine: Claim): Promise<Look> {
  const found = await cos.get(key)
  if (!found) return { standing: 'free', written: Number.NaN }
  const { written } = found
  const { id, seconds, failure } = readClaim(found.body)
  if (found.read - written >= (seconds ?? mine.seconds) * 1000 + ROUNDING) return { standing: 'over', written }
  if (failure === undefined) return { standing: id === mine.id ? 'ours' : 'taken', written }
  // `denied` may be mended by an operator, but not by asking again at once: that would be a claim for each request.
  if (failure === 'denied' || codes.get(failure)?.retryable === false) throw new MattingError(failure)
  return { standing: 'over', written }
}

/** Tells those who wait that nothing was bought. Should this fail, they wait until the claim's time has passed. */
export async function release(cos: Cos, key: string, mine: Claim, failure: Code): Promise<void> {
  await cos.put(key, JSON.stringify({ ...mine, failure }), { type: 'application/json' }).catch(() => {})
}

/** A claim somebody else scribbled on holds as long as one of ours would. */
function readClaim(text: string): { id?: unknown; seconds?: number; failure?: Code } {
  try {
    const { id, seconds, failure } = Object(JSON.parse(text))
    return { id, ...(typeof seconds === 'number' && { seconds }), ...(isCode(failure) && { failure }) }
  } catch {
    return {}
  }
}

function isCode(value: unknown): value is Code {
  return typeof value === 'string' && codes.has(value)
}
