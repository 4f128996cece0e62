import { MattingError } from '../lib/errors.ts'
import { count } from './amount.ts'
import { onInterrupt } from './interrupt.ts'
import type { Job } from './job.ts'
import type { Operator } from './operator.ts'
import { plan, printPlan } from './plan.ts'
import { printCost, readPrice } from './price.ts'
import { startProgress } from './progress.ts'
import type { Result } from './run.ts'
import { readScope } from './sources.ts'

/** The options of plan and run, as the command line has them. */
export interface BackfillOptions {
  folder?: string[] | undefined
  since?: Date | undefined
  from?: string | undefined
  inventory?: string | undefined
  limit?: number | undefined
  qps: number
  price?: string | undefined
}

export interface RunsOptions extends BackfillOptions {
  failures: string
  announce: boolean
  via?: 'function' | undefined
  inFlight?: number | undefined
}

/** Says what a run would do; with `sample` it makes some of it first. @returns the exit code */
export async function backfillPlan(
  operator: Operator,
  options: BackfillOptions & { sample?: number },
): Promise<number> {
  const { terminal } = operator
  const job = readJob(operator, options)
  const { plan: found, picked } = await plan(operator, job, options.sample)
  printPlan(operator, found, job.price)
  const calls = picked.reduce((sum, one) => sum + one.calls, 0)
  const question = `Make the cutouts of ${count(picked.length)} photos now? ${costs(job, calls)}`
  let sample: object | undefined
  if (options.sample && (!terminal.isThere || (await terminal.confirm(question)))) {
    const { makeSample } = await import('./sample.ts')
    const made = await makeSample(operator, picked, 'backfill-sample')
    terminal.print('')
    terminal.print(`sample: ${count(made.paid)} calls paid${made.failed > 0 ? `, ${made.failed} failed` : ''}`)
    terminal.print(made.file)
    sample = made
  }
  if (terminal.json) console.log(JSON.stringify({ ...found, ...(sample && { sample }) }))
  return found.failed > 0 ? 1 : 0
}

/** Cuts out what is missing. On a terminal it says first what that costs, and asks. @returns the exit code */
export async function backfillRun(operator: Operator, options: RunsOptions): Promise<number> {
  const { terminal, account } = operator
  if (options.via && !options.announce)
    throw new MattingError('bad-request', '--no-announce: the function announces what it makes.')
  const job = { ...readJob(operator, options), failures: options.failures, announce: options.announce }
  let total: number | undefined
  if (terminal.isThere) {
    const { plan: found } = await plan(operator, job)
    printPlan(operator, found, job.price)
    total = found.toCut
    terminal.print('')
    if (
      found.calls > 0 &&
      !(await terminal.confirm(`Cut out ${count(found.toCut)} photos? ${costs(job, found.calls)}`))
    ) {
      terminal.print('Nothing was done.')
      return 0
    }
  }
  const progress = startProgress(process.stderr, total, { now: account.now, say: terminal.say })
  const { signal, end } = onInterrupt(progress.say)
  let result: Result
  try {
    const watched = { signal, progress }
    if (options.via) {
      const { runByFunction } = await import('./via-function.ts')
      result = await runByFunction(operator, { ...job, inFlight: options.inFlight }, watched)
    } else {
      const { run } = await import('./run.ts')
      result = await run(operator, job, watched)
    }
  } finally {
    progress.end()
    end()
  }
  printResult(operator, result, job)
  return result.stopped === 'interrupted' ? 130 : result.failed > 0 || result.stopped === 'denied' ? 1 : 0
}

function printResult({ terminal }: Operator, result: Result, { price }: Job): void {
  const { print, paint, json, say } = terminal
  const { paid, cut, skipped, failed, stopped, why, failures } = result
  if (json) console.log(JSON.stringify(result))
  print(`photos cut out   ${count(cut)}`)
  print(`calls paid       ${count(paid)}${price ? `   ${printCost(paid, price)}` : ''}`)
  print(`skipped          ${count(skipped)}   cut already, or refused`)
  print(
    `failed           ${count(failed)}${failures === null ? '' : `   \`backfill run --from ${failures}\` tries them again`}`,
  )
  const words = {
    interrupted: 'Stopped. The same command goes on from here.',
    limit: 'The limit is reached. The same command goes on from here.',
    'daily-limit': why,
    denied: `Stopped: ${why}`,
  }
  if (stopped) (json ? say : print)(paint(stopped === 'denied' ? 'red' : 'yellow', words[stopped] ?? stopped))
}

function readJob(operator: Operator, options: BackfillOptions): Job {
  const price = options.price ?? operator.variable('MATTING_PRICE')
  return {
    scope: readScope(operator.config, options),
    limit: options.limit,
    qps: options.qps,
    price: price === undefined ? undefined : readPrice(price),
  }
}

function costs({ price }: Job, calls: number): string {
  return `It costs ${count(calls)} paid calls${price ? `, ${printCost(calls, price)}` : ''}.`
}
