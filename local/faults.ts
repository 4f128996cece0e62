import { LONGEST_TIMER } from './clock.ts'

/**
 * A fault to inject, set through the control API (`PUT /api/faults`).
 *
 * `on` is the name of an operation of COS (`HeadObject`, `PutObject`, …); or `GoodsMatting` for a paid call by any of the
 * three methods; `Cut` for the vendor's work on a stored photo after it was read (only `delay` and `hold`); the name of an action
 * of the management API, with a function's or role's name as its key; `Event` for the delivery of an object event to its
 * function; `Instance` for the start of an instance; or `*` for all.
 */
export interface Fault {
  on: string
  kind: FaultKind
  /** Strikes only keys that begin with this; default all keys. */
  prefix?: string
  /** Probability, 0 to 1; default 1. */
  rate?: number
  /** How often it strikes at most; default without limit. */
  times?: number
  /** For `error`: the vendor's code; default `InternalError`. */
  code?: string
  /** For `delay`, `race` and `skew`: milliseconds. */
  ms?: number
}

const KINDS = [
  'delay', // wait `ms`, then go on as usual
  'hold', // wait until release() or until other faults are set, then go on as usual
  'error', // answer 500 InternalError, or the error of `code`; do nothing
  'slow-down', // answer 503 SlowDown, do nothing
  'reset', // reset the connection, do nothing
  'lose-answer', // do and bill everything, then reset the connection instead of answering
  'error-in-200', // GoodsMatting: do nothing, but answer 200 with <Error> in the body
  'drop-result', // GoodsMatting: bill everything, but neither store nor list the last result; CreateFunction, UpdateFunction…: end as CreateFailed, UpdateFailed
  'kill', // do and bill everything, then end the instance that asked instead of answering
  'race', // PutObject: x-cos-forbid-overwrite overlooks what was written less than `ms` ago
  'skew', // Instance: its clock is `ms` ahead, or behind if that is negative
  'duplicate', // Event: deliver it twice
  'drop', // Event: never deliver it
] as const
export type FaultKind = (typeof KINDS)[number]

/** Not what a browser reads, because an `<img>` never asks again. */
const BUSY = ['HeadObject', 'PutObject', 'GoodsMatting'].map((on) => ({ on, kind: 'slow-down' as const, rate: 0.1 }))

/** Trouble worth watching, each with a name. */
export const FAULT_PRESETS: readonly { name: string; faults: readonly Fault[] }[] = [
  { name: 'lost-answer', faults: [{ on: 'GoodsMatting', kind: 'lose-answer', rate: 0.5 }] },
  { name: 'slow-down', faults: BUSY },
  { name: 'slow-matting', faults: [{ on: 'GoodsMatting', kind: 'delay', ms: 3_000 }] },
  { name: 'duplicate-events', faults: [{ on: 'Event', kind: 'duplicate' }] },
  { name: 'killed-instance', faults: [{ on: 'GoodsMatting', kind: 'kill', rate: 0.5 }] },
]

export interface Faults {
  set(faults: Fault[], seed?: number): void
  /** The faults that are set, and how often each has struck. */
  list(): (Fault & { struck: number })[]
  /**
   * The faults that strike this operation now, in the order in which they were set. A paid call has two names, that of its
   * operation and `GoodsMatting`. A fault on either of them, or on `*`, strikes it once.
   */
  draw(names: readonly string[], key?: string): Fault[]
  /** What a `hold` has struck calls this, and waits until it is released. */
  hold(key: string): Promise<void>
  /** The keys of everything that is held now. */
  held(): string[]
  /** Lets everything go on that is held now. */
  release(): void
}

/** Reads faults from JSON. @throws TypeError that names the mistake */
export function parseFaults(json: unknown, isCode: (code: unknown) => boolean): Fault[] {
  if (!Array.isArray(json)) throw new TypeError('faults: expected an array')
  return json.map((entry: unknown, i) => {
    const { on, kind, prefix, code, rate, times, ms } = Object(entry) as Record<string, unknown>
    if (typeof on !== 'string') throw new TypeError(`faults[${i}].on: expected an operation's name or *`)
    const known = KINDS.find((k) => k === kind)
    if (!known) throw new TypeError(`faults[${i}].kind: expected one of ${KINDS.join(', ')}`)
    if (prefix !== undefined && typeof prefix !== 'string') throw new TypeError(`faults[${i}].prefix: expected text`)
    if (code !== undefined && (typeof code !== 'string' || !isCode(code)))
      throw new TypeError(`faults[${i}].code: expected an error code of the vendor`)
    const fault: Fault = { on, kind: known, ...(prefix !== undefined && { prefix }), ...(code && { code }) }
    for (const [name, value] of Object.entries({ rate, times, ms })) {
      if (value === undefined) continue
      const most = { rate: 1, times: Number.MAX_SAFE_INTEGER, ms: LONGEST_TIMER }[name] ?? 0
      const least = kind === 'skew' && name === 'ms' ? -most : 0
      if (typeof value !== 'number' || !(value >= least && value <= most))
        throw new TypeError(`faults[${i}].${name}: expected a number, ${least} to ${most}`)
      Object.assign(fault, { [name]: value })
    }
    return fault
  })
}

export function createFaults(): Faults {
  let active: { fault: Fault; struck: number }[] = []
  let random = mulberry32(1)
  const held: { key: string; go: () => void }[] = []
  const release = () => {
    for (const { go } of held.splice(0)) go()
  }
  return {
    set(faults, seed = 1) {
      random = mulberry32(seed)
      active = faults.map((fault) => ({ fault, struck: 0 }))
      release()
    },
    hold: (key) => new Promise((go) => held.push({ key, go })),
    held: () => held.map(({ key }) => key),
    release,
    list: () => active.map(({ fault, struck }) => ({ ...fault, struck })),
    draw(names, key = '') {
      const struck: Fault[] = []
      for (const entry of active) {
        const { fault } = entry
        if (fault.on !== '*' && !names.includes(fault.on)) continue
        if (!key.startsWith(fault.prefix ?? '') || entry.struck >= (fault.times ?? Number.POSITIVE_INFINITY)) continue
        if (random() >= (fault.rate ?? 1)) continue
        entry.struck++
        struck.push(fault)
      }
      return struck
    },
  }
}

/** The random numbers of Mulberry32: the same seed gives the same faults again. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
