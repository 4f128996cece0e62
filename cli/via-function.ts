import { setTimeout as sleep } from 'node:timers/promises'
import PQueue from 'p-queue'
import { MattingError } from '../lib/errors.ts'
import { countPaid, MAX_RULES } from '../lib/pay/pay.ts'
import { apiCode, call, fields, find, list } from './api.ts'
import { openDeadLetters } from './dead-letters.ts'
import { openFailures } from './failures.ts'
import { scf } from './function.ts'
import { handing } from './hand-over.ts'
import { surveyed } from './job.ts'
import type { Operator } from './operator.ts'
import type { Progress, Standing } from './progress.ts'
import { pace, type Result, type RunOptions, type Stop, until } from './run.ts'
import { pagesOf } from './sources.ts'
import { openSpending } from './spending.ts'
import type { FunctionSpec } from './stage.ts'
import { follow, survey, type Verdict } from './survey.ts'

type Missing = Extract<Verdict, { verdict: 'missing' }>

/** A photo that was handed over, and has not come to an end. */
interface Given {
  photo: Missing
  /** When the API took it, by COS's clock; undefined until then. */
  since?: number
}

/** How the platform runs the function. */
interface Platform {
  name: string
  /** So many at a time, if that is set. */
  instances: number | undefined
  /** After so long without an end there will be none; in milliseconds. */
  patience: number
}

/** The platform delivers an event again after a minute (product/583/39704), and this is kept over for its own work. */
const MINUTE = 60_000
/** So many requests to the management API are under way at the same time. */
const CALLS_AT_ONCE = 8
/** How often a request is tried again that was not answered, or refused by a code that is not known to be "wait". */
const TRIES = 5
/** Pauses between two looks, in milliseconds: they grow while nothing comes to an end. */
const LEAST_PAUSE = 100
const LONGEST_PAUSE = 3_000

/**
 * Hands everything that is missing to the deployed upload function, as the events that COS would have sent. It remembers no more
 * than what is in flight, and ends when each photo is cut out, marked, or a dead letter.
 */
export async function runByFunction(
  operator: Operator,
  options: RunOptions & { inFlight?: number | undefined },
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<Result> {
  const { account, config } = operator
  const { qps, scope } = options
  const platform = await readPlatform(operator)
  const invocation = operator.open(Number.POSITIVE_INFINITY)
  const { store } = invocation
  // Four times what is worked on at once: no instance waits for us between two looks, and a stop leaves little behind.
  const most = options.inFlight ?? 4 * (platform.instances ?? Math.ceil(qps * 5))
  const failures = openFailures(options.failures, store.clock)
  const letters = await openDeadLetters(operator)
  const standing: Standing = { paid: 0, cut: 0, skipped: 0, failed: 0 }
  const inFlight = new Map<string, Given>()
  const queue = new PQueue({ concurrency: CALLS_AT_ONCE, ...pace(qps) })
  let stop: { stopped: Stop; why?: string } | undefined
  let left = options.limit ?? Number.POSITIVE_INFINITY
  let today = await leftToday()
  // The answers so far have told the time.
  const spending = await openSpending(store)
  let pause = LEAST_PAUSE
  const isStopped = () => stop !== undefined || signal.aborted

  async function leftToday(): Promise<number> {
    await store.page('.matting/tally/')
    if (config.dailyLimit === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return config.dailyLimit - (await countPaid(invocation, new Date(store.clock()).toISOString().slice(0, 10)))
  }

  async function give({ key, head }: Missing): Promise<void> {
    const request = handing(config, platform.name, { key, size: head.size, written: head.modified })
    for (let tries = 1, wait = 500; ; wait = Math.min(2 * wait, 15_000)) {
      try {
        await call(account, request)
        const given = inFlight.get(key)
        if (given) given.since = store.clock()
        return
      } catch (thrown) {
        const code = apiCode(thrown)
        const isBusy = /^(?:RequestLimitExceeded|LimitExceeded)/.test(code)
        const mayPass = isBusy || ((code === '' || /^InternalError/.test(code)) && tries++ < TRIES)
        if (!mayPass || isStopped()) {
          if (!isBusy) stop ??= { stopped: 'denied', why: MattingError.from(thrown).message }
          inFlight.delete(key)
          return
        }
        await sleep(wait * (0.5 + account.random()))
      }
    }
  }

  function fail(key: string, code: string, message: string): void {
    standing.failed++
    const why = failures.add(key, { code, message })
    if (why) stop ??= { stopped: 'denied', why }
  }

  /** Looks what has become of what was handed over. */
  async function look(): Promise<void> {
    const given = [...inFlight.values()].filter(({ since }) => since !== undefined)
    const before = inFlight.size
    const foreseen = await follow(
      invocation,
      given.map(({ photo }) => photo),
    )
    for (const [i, { photo }] of given.entries()) {
      const { missing = [], error } = foreseen[i] ?? {}
      if (!error && missing.length > 0) continue
      inFlight.delete(photo.key)
      if (error) fail(photo.key, error.code, error.message)
      else standing.cut++
    }
    for (const { key, message } of await letters.look()) if (inFlight.delete(key)) fail(key, 'dead-letter', message)
    const late = given.filter(
      ({ photo, since = 0 }) => inFlight.has(photo.key) && store.clock() - since > platform.patience,
    )
    await giveUp(late.map(({ photo }) => photo.key))
    standing.paid += await spending.look()
    progress.update(standing)
    pause = inFlight.size < before ? LEAST_PAUSE : Math.min(1.5 * pause, LONGEST_PAUSE)
  }

  /** Those that were replaced or deleted meanwhile have events of their own. */
  async function giveUp(keys: readonly string[]): Promise<void> {
    for await (const found of survey(invocation, pagesOf(keys.map((key) => ({ key }))))) {
      inFlight.delete(found.key)
      if (found.verdict === 'cut') standing.cut++
      else if (found.verdict === 'refused') standing.skipped++
      else fail(found.key, 'unfinished', 'The platform has given up, or still tries.')
    }
  }

  async function rounds(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await sleep(pause)
      await look()
    }
  }

  for await (const one of surveyed(operator, invocation, scope)) {
    if (isStopped()) break
    if (one.verdict === 'failed') fail(one.key, one.error.code, one.error.message)
    else if (one.verdict !== 'missing') standing.skipped++
    else {
      await rounds(() => inFlight.size < most || isStopped())
      // The function makes all cutouts of a photo, or none.
      if (one.calls > left) stop ??= { stopped: 'limit' }
      // What is in flight and not paid yet has no receipt, so only a count after its end can be trusted.
      if (one.calls > today) await rounds(() => inFlight.size === 0 || isStopped())
      if (one.calls > today) today = await leftToday()
      if (one.calls > today) stop ??= { stopped: 'daily-limit', why: until(invocation) }
      if (isStopped()) break
      left -= one.calls
      today -= one.calls
      inFlight.set(one.key, { photo: one })
      for (let i = MAX_RULES; i < one.calls; i += MAX_RULES) void queue.add(async () => {})
      void queue.add(() => give(one))
      await queue.onSizeLessThan(most)
    }
    progress.update(standing)
  }
  await queue.onIdle()
  await rounds(() => inFlight.size === 0)
  if (signal.aborted) stop = { stopped: 'interrupted' }
  return { ...standing, ...(stop ?? { stopped: null }), failures: failures.count() > 0 ? options.failures : null }
}

/** @throws MattingError misconfigured, if the function is not deployed */
async function readPlatform({ account, stage }: Operator): Promise<Platform> {
  const upload: FunctionSpec | undefined = stage.functions.find(({ handler }) => handler.startsWith('upload.'))
  const name = upload?.name ?? ''
  const answer = await find(account, scf('GetFunctionEventInvokeConfig', { FunctionName: name }))
  if (!upload || !answer)
    throw new MattingError('misconfigured', `There is no function ${name}: \`cos-goods-matting deploy\` makes it.`)
  const [retry] = list(fields(answer.AsyncTriggerConfig).RetryConfig)
  const retries = Number(retry?.RetryNum ?? 2)
  const { ReservedMem } = fields(await find(account, scf('GetReservedConcurrencyConfig', { FunctionName: name })))
  const instances = Number(ReservedMem) > 0 ? Math.max(1, Math.floor(Number(ReservedMem) / upload.memory)) : undefined
  const patience = (retries + 1) * upload.timeout * 1_000 + (retries + 1) * MINUTE
  return { name, instances, patience }
}
