/**
 * Trouble to inject, set through the control API (`PUT /api/faults`).
 *
 * `on` is an operation as COS names it (`HeadObject`, `PutObject`, …), `GoodsMatting` for a paid call by whatever method,
 * `Cut` for its work on a stored photo once that was read (`delay` and `hold` alone),
 * the name of an action of the management API, with a function's or role's name as its key,
 * `Event` for the way of an object event to its function, `Instance` for the start of an instance, or `*`.
 */
export interface Fault {
  on: string
  kind: FaultKind
  /** Strikes only keys that begin so; default all. */
  prefix?: string
  /** Probability, 0 to 1; default 1. */
  rate?: number
  /** How often at most; default no bound. */
  times?: number
  /** For `error`: the vendor's code; default InternalError. */
  code?: string
  /** For `delay`, `race` and `skew`: milliseconds. */
  ms?: number
}

const KINDS = [
  'delay', // wait `ms`, then go on as usual
  'hold', // wait until it is released, or other faults are set; then go on as usual
  'error', // 500 InternalError, or what `code` says; nothing done
  'slow-down', // 503 SlowDown, nothing done
  'reset', // connection reset, nothing done
  'lose-answer', // everything done (and billed), then the connection is reset instead of an answer
  'error-in-200', // GoodsMatting: nothing done, yet 200 with <Error> in the body
  'drop-result', // GoodsMatting: all billed, the last result neither stored nor listed; CreateFunction and UpdateFunction…: it ends as CreateFailed, UpdateFailed
  'kill', // everything done, then the instance that asked is ended instead of an answer
  'race', // PutObject: x-cos-forbid-overwrite does not see what was written less than `ms` ago
  'skew', // Instance: its clock is `ms` ahead, or behind if negative
  'duplicate', // Event: delivered twice
  'drop', // Event: never delivered
] as const
export type FaultKind = (typeof KINDS)[number]

export interface Faults {
  set(faults: Fault[], seed?: number): void
  /** The faults that are set, and how often each has struck. */
  list(): (Fault & { struck: number })[]
  /**
   * The faults that strike this operation now, in the order they were set. A paid call goes by two names, its own and
   * `GoodsMatting`; a fault on either, or on `*`, strikes it once.
   */
  draw(names: readonly string[], key?: string): Fault[]
  /** Waits, where a `hold` has struck, until it is released. */
  hold(key: string): Promise<void>
  /** The keys of all that is held now. */
  held(): string[]
  /** Lets go what is held now. */
  release(): void
}

/** @throws TypeError naming what is wrong with JSON that came in from outside. */
export function parseFaults(json: unknown, isCode: (code: unknown) => boolean): Fault[] {
  if (!Array.isArray(json)) throw new TypeError('faults: expected an array')
  return json.map((entry: unknown, i) => {
    const { on, kind, prefix, code, rate, times, ms } = Object(entry) as Record<string, unknown>
    if (typeof on !== 'string') throw new TypeError(`faults[${i}].on: expected an operation's name or *`)
    const known = KINDS.find((k) => k === kind)
    if (!known) throw new TypeError(`faults[${i}].kind: expected one of ${KINDS.join(', ')}`)
    if (prefix !== undefined && typeof prefix !== 'string') throw new TypeError(`faults[${i}].prefix: expected text`)
    if (code !== undefined && (typeof code !== 'string' || !isCode(code)))
      throw new TypeError(`faults[${i}].code: expected a code of the vendor's`)
    const fault: Fault = { on, kind: known, ...(prefix !== undefined && { prefix }), ...(code && { code }) }
    for (const [name, value] of Object.entries({ rate, times, ms })) {
      if (value === undefined) continue
      const [least, most] =
        name === 'rate' ? [0, 1] : [kind === 'skew' ? Number.NEGATIVE_INFINITY : 0, Number.POSITIVE_INFINITY]
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

/** Mulberry32: 32 bits of state, so that a seed gives the same faults again. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
