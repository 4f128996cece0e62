import { setTimeout as sleep } from 'node:timers/promises'
import PQueue from 'p-queue'
import { cutOut } from '../lib/cut.ts'
import { MattingError } from '../lib/errors.ts'
import { createDayCount, type Invocation } from '../lib/invocation.ts'
import { MAX_RULES } from '../lib/pay/pay.ts'
import { createTell } from '../lib/tell.ts'
import { type Failures, openFailures } from './failures.ts'
import { type Job, surveyed } from './job.ts'
import type { Operator } from './operator.ts'
import type { Progress, Standing } from './progress.ts'
import { type Entry, pagesOf } from './sources.ts'
import { survey, type Verdict } from './survey.ts'

export interface RunOptions extends Job {
  failures: string
  announce: boolean
}

/** Why a run has ended before everything was done. */
export type Stop = 'interrupted' | 'limit' | 'daily-limit' | 'denied'

export interface Result extends Standing {
  stopped: Stop | null
  /** What a stop is about, in words. */
  why?: string
  /** Of the failures; null if there are none. */
  failures: string | null
}

type Missing = Extract<Verdict, { verdict: 'missing' }>

/** A paid call takes 1.6 to 4.4 seconds: so many photos at once keep the rate. */
const SECONDS = 5
const MAX_AT_ONCE = 256
/** After so many refusals of the account in a row, the others would fail as well. */
const DENIED_IN_A_ROW = 3
/** How often what may succeed later is tried again at the end, with pauses before it, in milliseconds. */
const PAUSES = [0, 1_000]
/** So many photos are remembered for that; those beyond are failures. */
const MAX_AGAIN = 10_000
/** Time for one photo beyond that of its claim, in milliseconds. */
const EXTRA = 15_000

/** Cuts out everything that is missing, through the same door as the functions. The bucket is all that it remembers. */
export async function run(
  operator: Operator,
  options: RunOptions,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<Result> {
  const { limit = Number.POSITIVE_INFINITY, qps, scope } = options
  const invocation = { ...operator.open(Number.POSITIVE_INFINITY), dayCount: createDayCount() }
  const failures: Failures = openFailures(options.failures, invocation.cos.clock)
  const standing: Standing = { paid: 0, cut: 0, skipped: 0, failed: 0 }
  const result = (stop: { stopped: Stop; why?: string } | undefined): Result => ({
    ...standing,
    ...(stop ?? { stopped: null }),
    failures: failures.count() > 0 ? options.failures : null,
  })
  const queue = new PQueue({ concurrency: Math.min(MAX_AT_ONCE, Math.ceil(qps * SECONDS)), ...pace(qps) })
  let stop: { stopped: Stop; why?: string } | undefined
  /** What `--limit` leaves for photos that are not begun yet. */
  let left = limit
  const isLimited = Number.isFinite(limit)
  let denied = 0
  /** What may succeed later, and why it did not; nothing of what is only to be gone on with. */
  let again = new Map<string, { entry: Entry; error?: MattingError }>()
  const isStopped = () => stop !== undefined || signal.aborted

  function fail(key: string, error: MattingError, isLast: boolean): void {
    denied = error.about === 'account' ? denied + 1 : 0
    if (denied >= DENIED_IN_A_ROW) stop ??= { stopped: 'denied', why: reasonOf(error) }
    if (error.about === 'moment' && !isLast && again.size < MAX_AGAIN) {
      again.set(key, { entry: { key, again: error.code === 'unannounced' }, error })
      return
    }
    standing.failed++
    const why = failures.add(key, { code: error.code, message: reasonOf(error) })
    if (why) stop ??= { stopped: 'denied', why }
  }

  async function cut({ key, head }: Missing, allowance: { left: number }, isLast: boolean): Promise<void> {
    const own = create(invocation, allowance, isLast)
    const tell = options.announce ? createTell(own) : async () => {}
    try {
      await cutOut('backfill', key, head, {
        ...own,
        wait: isLast,
        warn: () => {},
        // A limit is no news of the photo: the run that comes to it will tell.
        announce: async (news) => (news.type === 'cutout.deferred' ? undefined : tell(news)),
      })
      denied = 0
      standing.cut++
    } catch (thrown) {
      const error = MattingError.from(thrown)
      if (error.code !== 'limit-reached') fail(key, error, isLast)
      else if (allowance.left > 0) stop ??= { stopped: 'daily-limit', why: until(invocation) }
      // It needs more calls than were foreseen, or than `--limit` left for it.
      else if (!isLast) again.set(key, { entry: { key } })
    }
    standing.paid += own.spent.calls
    if (isLimited) left += allowance.left
    progress.update(standing)
  }

  async function go(found: AsyncIterable<Verdict>, isLast: boolean): Promise<void> {
    for await (const one of found) {
      if (isStopped()) break
      if (one.verdict === 'failed') fail(one.key, one.error, isLast)
      else if (one.verdict !== 'missing') standing.skipped++
      else {
        // What those under way do not pay may be paid for this one.
        if (left === 0 && one.calls > 0) await queue.onIdle()
        if (left === 0 && one.calls > 0) stop ??= { stopped: 'limit' }
        await queue.onSizeLessThan(1)
        if (isStopped()) break
        const allowance = { left: isLimited ? Math.min(left, one.calls) : left }
        if (isLimited) left -= allowance.left
        // One request makes so many cutouts; a photo with more has more turns.
        for (let i = MAX_RULES; i < one.calls; i += MAX_RULES) void queue.add(async () => {})
        void queue.add(() => cut(one, allowance, isLast))
      }
      progress.update(standing)
    }
    if (isStopped()) queue.clear()
    await queue.onIdle()
  }

  try {
    await go(surveyed(operator, invocation, scope), false)
    for (const [i, pause] of PAUSES.entries()) {
      if (isStopped() || again.size === 0) break
      await sleep(pause)
      const entries = [...again.values()].map(({ entry }) => entry)
      again = new Map()
      await go(survey(invocation, pagesOf(entries)), i === PAUSES.length - 1)
    }
  } finally {
    queue.clear()
    await queue.onIdle()
    // What was to be tried again, and now is not.
    for (const [key, { error }] of again) if (error) fail(key, error, true)
  }
  if (signal.aborted) stop = { stopped: 'interrupted' }
  return result(stop)
}

/** The invocation for one photo. The first time it waits for nobody else; at last until the claim of one who died has ended. */
function create(invocation: Invocation, allowance: { left: number }, isLast: boolean): Invocation {
  const time = invocation.config.claimTime * (isLast ? 2_000 : 1_000) + EXTRA
  return {
    ...invocation,
    deadline: invocation.now() + time,
    spent: { ms: new Map(), calls: 0 },
    ...(Number.isFinite(allowance.left) && { allowance }),
  }
}

/** So many requests a second, in whole ones: 2.5 are 3 in 1.2 seconds. */
export function pace(qps: number): { intervalCap: number; interval: number; strict: true } {
  return { intervalCap: Math.ceil(qps), interval: (1_000 * Math.ceil(qps)) / qps, strict: true }
}

/** The public message, and what the vendor said. */
export function reasonOf({ message, cause }: MattingError): string {
  return cause instanceof MattingError ? `${message} (${cause.message})` : message
}

export function until({ store }: Invocation): string {
  const midnight = new Date(Math.floor(store.clock() / 86_400_000 + 1) * 86_400_000)
  return `DAILY_LIMIT is used up; it goes on from ${midnight.toISOString().slice(0, 16).replace('T', ' ')} UTC.`
}
