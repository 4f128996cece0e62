import { MattingError } from '../lib/errors.ts'
import { type Billed, dayWithReceipts, readReceipts } from '../lib/pay/pay.ts'
import { count } from './amount.ts'
import { fields, get, json } from './api.ts'
import type { Operator } from './operator.ts'
import { cost, type Price, printCost } from './price.ts'

export const WAYS = ['day', 'layout', 'asker', 'folder'] as const
export type Way = (typeof WAYS)[number]

/** The paid calls of one day, layout, asker or folder. */
export interface BillLine {
  name: string
  /** Calls that are paid: answered with success, or without an answer but their cutout is there. */
  paid: number
  /** Calls without an answer, of which no cutout is there. The vendor may have billed them. */
  open: number
}

export interface Bill {
  from: string
  to: string
  lines: BillLine[]
  paid: number
  open: number
  /** What the paid calls cost; undefined if the price is not known. */
  cost?: number
  currency?: string
  /** What the local cloud's own bill says of these days. */
  local?: number
}

const DAY = 86_400_000
/** Receipts are kept for so many days. */
const KEPT = 400

/** Adds up the receipts of some days. @throws MattingError bad-request, unavailable, denied */
export async function readBill(
  operator: Operator,
  { from, to, by, price }: { from?: string | undefined; to?: string | undefined; by: Way; price?: Price | undefined },
): Promise<Bill> {
  const { store } = operator.open(Number.POSITIVE_INFINITY)
  // Asks for the time of COS, by whose days receipts are dated.
  await store.head('.matting/')
  const today = new Date(store.clock()).toISOString().slice(0, 10)
  const last = to ?? today
  const first = from ?? `${last.slice(0, 7)}-01`
  if (first > last) throw new MattingError('bad-request', `--from ${first} is after --to ${last}.`)
  if ((Date.parse(last) - Date.parse(first)) / DAY > KEPT)
    throw new MattingError('bad-request', `Receipts are kept for ${KEPT} days; ask for fewer.`)
  const lines = new Map<string, BillLine>()
  for (let day: string | undefined = first; ; day = new Date(Date.parse(day) + DAY).toISOString().slice(0, 10)) {
    day = await dayWithReceipts(store, day)
    if (day === undefined || day > last) break
    for (const one of await readReceipts(store, day)) {
      for (const cutout of one.receipt.cutouts) {
        const name = nameOf(by, day, cutout, one)
        const line = lines.get(name) ?? { name, paid: 0, open: 0 }
        lines.set(name, line)
        if (one.billed.includes(cutout)) line.paid++
        else line.open++
      }
    }
  }
  const sorted = [...lines.values()].sort((a, b) => (by === 'day' ? (a.name < b.name ? -1 : 1) : b.paid - a.paid))
  const sum = (of: 'paid' | 'open') => sorted.reduce((all, line) => all + line[of], 0)
  const local = await localBill(operator, first, last)
  return {
    from: first,
    to: last,
    lines: sorted,
    paid: sum('paid'),
    open: sum('open'),
    ...(price && { cost: cost(sum('paid'), price), currency: price.currency }),
    ...(local !== undefined && { local }),
  }
}

function nameOf(by: Way, day: string, cutout: string, { receipt: { asker, source } }: Billed): string {
  switch (by) {
    case 'day':
      return day
    case 'layout':
      return /-([a-z][a-z\d-]*)\.png$/.exec(cutout)?.[1] ?? 'unknown'
    case 'asker':
      return asker
    case 'folder':
      return source.slice(0, source.lastIndexOf('/') + 1) || '/'
  }
}

/** The local cloud has a bill of its own, as the vendor has. */
async function localBill({ account: { local } }: Operator, from: string, to: string): Promise<number | undefined> {
  if (!local) return undefined
  const { body } = await get(`http://127.0.0.1:${local.control}/api/bill`)
  const { items } = json(body.toString())
  if (!Array.isArray(items)) return undefined
  const days = items.map((item) => String(fields(item).at).slice(0, 10))
  return days.filter((day) => day >= from && day <= to).length
}

/** A bill for people. */
export function* printBill(bill: Bill, price: Price | undefined): Generator<string> {
  const { from, to, lines, paid, open, local } = bill
  yield `Paid calls from ${from} to ${to} (UTC), by the receipts in the bucket`
  const width = Math.max(5, ...lines.map(({ name }) => name.length))
  for (const line of [...lines, { name: 'sum', paid, open }]) {
    const more = line.open > 0 ? `  and ${count(line.open)} without an answer` : ''
    yield `${line.name.padEnd(width)}  ${count(line.paid).padStart(9)}${price ? `  ${printCost(line.paid, price)}` : ''}${more}`
  }
  const most = open > 0 ? ` to ${count(paid + open)}` : ''
  yield `The vendor's bill for GoodsMatting should say ${count(paid)}${most} calls.`
  if (local !== undefined)
    yield local === paid
      ? 'The local cloud billed as many.'
      : `The local cloud billed ${count(local)}: without receipts are calls of DELIVERY=direct, and those that somebody signed himself.`
}

/** The same for a spreadsheet (RFC 4180). */
export function* csv(bill: Bill, by: Way): Generator<string> {
  yield `${by},paid,open`
  for (const { name, paid, open } of bill.lines) yield `${cell(name)},${paid},${open}`
}

/** A spreadsheet takes what begins with one of these for a formula, and anybody can upload a photo. */
function cell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
