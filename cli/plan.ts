import { countPaid } from '../lib/pay/pay.ts'
import { count, duration } from './amount.ts'
import { type Job, surveyed } from './job.ts'
import type { Operator } from './operator.ts'
import { cost, type Price, printCost } from './price.ts'
import { type Picked, Sample } from './sample.ts'
import { type Counts, Sum, type Tally } from './tally.ts'

/** What a backfill would do, and what it would cost. */
export interface Plan extends Tally {
  /** The cost of all calls; undefined if the price is not known. */
  price?: { amount: number; currency: string }
  qps: number
  seconds: number
  /** What DAILY_LIMIT leaves today, and how many days all calls take with it; Infinity if it allows none. */
  today?: { limit: number; left: number; days: number }
}

/** Goes through all objects and asks for nothing that costs money. */
export async function plan(operator: Operator, job: Job, sample = 0): Promise<{ plan: Plan; picked: Picked[] }> {
  const { config, account, terminal } = operator
  const { limit = Number.POSITIVE_INFINITY, price, qps } = job
  const invocation = operator.open(Number.POSITIVE_INFINITY)
  const sum = new Sum(config.sourcePrefixes)
  const picks = new Sample(sample, config.sourcePrefixes, account.random)
  const isShown = process.stderr.isTTY
  for await (const found of surveyed(operator, invocation, job.scope)) {
    sum.add(found, limit - sum.calls)
    if (found.verdict === 'missing' && found.calls > 0) picks.add(found)
    if (isShown && sum.objects % 1_000 === 0) process.stderr.write(`\r${count(sum.objects)} objects looked at`)
    if (sum.calls >= limit) break
  }
  if (isShown) process.stderr.write('\r\u001b[K')
  const tally = sum.tally()
  if (tally.failed > 0) terminal.say(`${count(tally.failed)} objects could not be looked at: run the plan again.`)
  const today = await dailyLimit(invocation, tally.calls)
  return {
    plan: {
      ...tally,
      ...(price && { price: { amount: cost(tally.calls, price), currency: price.currency } }),
      qps,
      seconds: Math.ceil(tally.requests / qps),
      ...(today && { today }),
    },
    picked: picks.picked(),
  }
}

async function dailyLimit(invocation: ReturnType<Operator['open']>, calls: number): Promise<Plan['today']> {
  const { dailyLimit: limit } = invocation.config
  if (limit === Number.POSITIVE_INFINITY) return undefined
  // Its answer tells the time, and so which day it is.
  await invocation.store.page('.matting/tally/')
  const paid = await countPaid(invocation, new Date(invocation.store.clock()).toISOString().slice(0, 10))
  const left = Math.max(0, limit - paid)
  return { limit, left, days: calls <= left ? 1 : 1 + Math.ceil((calls - left) / limit) }
}

/** Prints a plan for people. */
export function printPlan({ terminal }: Operator, plan: Plan, price: Price | undefined): void {
  const { print, paint } = terminal
  const line = (name: string, value: string, more = '') =>
    print(`${name.padEnd(15)}${value.padStart(11)}${more && `   ${more}`}`)
  const reasons = Object.entries(plan.reasons).map(([why, number]) => `${count(number)} ${why}`)
  line('objects', count(plan.objects))
  line('already cut', count(plan.cut))
  line('refused', count(plan.refused), reasons.join('; '))
  if (plan.failed > 0) line('not looked at', count(plan.failed))
  line('to cut', count(plan.toCut))
  line('calls to pay', count(plan.calls))
  if (price) line('price', printCost(plan.calls, price), `at ${price.amount} ${price.currency}`.trimEnd())
  else if (plan.calls > 0) line('price', 'not known', "say yours: --price '0.01 CNY', or MATTING_PRICE")
  line('time', duration(plan.seconds), `at ${plan.qps} paid requests a second`)
  if (plan.folders.length > 1 || plan.rest) {
    print('')
    for (const row of table(plan)) print(row)
  }
  const { limit, left, days } = plan.today ?? { limit: 0, left: 0, days: 1 }
  if (days > 1) {
    const when = Number.isFinite(days) ? `it takes ${count(days)} days` : 'nothing can be paid for'
    print('')
    print(paint('yellow', `DAILY_LIMIT leaves ${count(left)} of ${count(limit)} calls today: ${when}.`))
  }
}

function table({ folders, rest }: Plan): string[] {
  const others = rest && { folder: `${count(rest.folders)} other folders`, ...rest }
  const rows = [...folders, ...(others ? [others] : [])].map((one: Counts & { folder: string }) => [
    one.folder,
    ...[one.objects, one.cut, one.refused, one.toCut, one.calls].map(count),
  ])
  const all = [['folder', 'objects', 'cut', 'refused', 'to cut', 'calls'], ...rows]
  const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0))) ?? []
  return all.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(Math.max(widths[i] ?? 0, 8))))
      .join('  '),
  )
}
