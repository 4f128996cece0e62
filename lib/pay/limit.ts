import { setTimeout as sleep } from 'node:timers/promises'
import { MattingError } from '../errors.ts'
import type { DayCount, Invocation } from '../invocation.ts'
import { countPaid } from './receipt.ts'

/** For so long a list of the receipts tells what others have paid, in milliseconds. */
const FRESH = 5_000
/** Pause before receipts that are just being written are listed, in milliseconds. */
const PAUSE = 100

/**
 * Takes so many calls from what DAILY_LIMIT leaves today, and from the invocation's allowance. `listed` must follow once their
 * receipts are written, or will not be. Without a `dayCount` the receipts are listed each time; with one again after five seconds, or when half of what was left
 * is taken: so close to the limit each call is preceded by a list, as without.
 * @throws MattingError limit-reached, unavailable
 */
export async function take(invocation: Invocation, calls: number): Promise<void> {
  const { allowance } = invocation
  if (allowance && allowance.left < calls) throw new MattingError('limit-reached')
  await takeOfDay(invocation, calls)
  if (allowance) allowance.left -= calls
}

/** Tells that of calls that were taken so many were not paid. */
export function giveBack({ allowance }: Invocation, calls: number): void {
  if (allowance) allowance.left += calls
}

async function takeOfDay(invocation: Invocation, calls: number): Promise<void> {
  const { config, now, deadline, dayCount: known } = invocation
  if (config.dailyLimit === Number.POSITIVE_INFINITY) return
  if (!known) {
    const enough = config.dailyLimit - calls
    if ((await countPaid(invocation, today(invocation), enough)) > enough) throw new MattingError('limit-reached')
    return
  }
  for (let isNew = false; ; isNew = true) {
    // A list that took longer than that is as good as one can be. A clock that was set back must not keep one fresh for hours.
    const isFresh = known.day === today(invocation) && (isNew || Math.abs(now() - known.at) < FRESH)
    const few = known.taken + calls <= known.left / 2
    const first = known.taken === 0 && calls <= known.left
    if (isFresh && !known.listing && (few || first)) {
      known.taken += calls
      known.unlisted += calls
      return
    }
    // Of what was not listed yet some may not be paid, and some was listed all the same: the next list tells.
    if (isFresh && known.taken === 0 && known.carried === 0) throw new MattingError('limit-reached')
    if (isFresh && known.taken === 0) {
      if (now() + PAUSE > deadline) throw new MattingError('limit-reached')
      await sleep(PAUSE)
    }
    known.listing ??= list(invocation, known, calls).finally(() => {
      known.listing = undefined
    })
    await known.listing
  }
}

/** Tells that the receipts of calls that were taken are written, or that there will be none. */
export function listed({ dayCount }: Invocation, calls: number): void {
  if (dayCount) dayCount.unlisted -= calls
}

async function list(invocation: Invocation, known: DayCount, calls: number): Promise<void> {
  const { config, now } = invocation
  const day = today(invocation)
  // What others pay while it is listed may not be in it.
  const at = now()
  const { unlisted: carried } = known
  const paid = await countPaid(invocation, day, config.dailyLimit - calls)
  // Some of what is carried may be listed as well. It is counted twice until the next list, so never too few.
  Object.assign(known, { day, at, carried, left: config.dailyLimit - paid - carried, taken: 0 })
}

function today({ store }: Invocation): string {
  return new Date(store.clock()).toISOString().slice(0, 10)
}
