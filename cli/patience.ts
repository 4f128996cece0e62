import { setTimeout as sleep } from 'node:timers/promises'
import { MattingError } from '../lib/errors.ts'

/** Pauses after what has failed that was tried three times already, in milliseconds. */
const PAUSES = [250, 4_000, 15_000]

/** A survey of hours must not end because COS does not answer for a few seconds. */
export function patiently<A extends unknown[], R>(work: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  return async (...args) => {
    for (const pause of PAUSES) {
      try {
        return await work(...args)
      } catch (thrown) {
        if (MattingError.from(thrown).about !== 'moment') throw thrown
        await sleep(pause)
      }
    }
    return work(...args)
  }
}
