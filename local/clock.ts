/** The time of the local cloud: this machine's time, plus what a test or a person has moved it ahead. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Moves it ahead by milliseconds, never back. Everything that is due by then is done at once. */
  advance(ms: number): void
  /** Does the work after so many milliseconds of this clock. The returned function cancels it. */
  after(ms: number, work: () => void): () => void
  /** How far ahead it is, in milliseconds; in shared memory, because instances are threads. */
  ahead: BigInt64Array<SharedArrayBuffer>
}

/** Behind it no date can be written in HTTP and ISO 8601, and the local cloud could answer nothing any more. */
const LAST = Date.UTC(9999, 11, 31)
/** A timer of JavaScript that is set for longer goes off at once; in milliseconds. */
export const LONGEST_TIMER = 2 ** 31 - 1

export function createClock(): Clock {
  const ahead = new BigInt64Array(new SharedArrayBuffer(8))
  const now = () => Date.now() + Number(Atomics.load(ahead, 0))
  /** Sets the timer again, for everything that waits. */
  const waiting = new Set<() => void>()
  return {
    now,
    ahead,
    advance(ms) {
      if (!(ms >= 0 && now() + ms <= LAST))
        throw new RangeError('advance: expected milliseconds, 0 or more, within the year 9999')
      Atomics.add(ahead, 0, BigInt(Math.round(ms)))
      for (const arm of waiting) arm()
    },
    after(ms, work) {
      const due = now() + ms
      let timer: NodeJS.Timeout | undefined
      const stop = () => {
        clearTimeout(timer)
        waiting.delete(arm)
      }
      const arm = () => {
        clearTimeout(timer)
        timer = setTimeout(
          () => {
            if (due > now()) return arm()
            stop()
            work()
          },
          Math.min(Math.max(0, due - now()), LONGEST_TIMER),
        )
      }
      waiting.add(arm)
      arm()
      return stop
    },
  }
}
