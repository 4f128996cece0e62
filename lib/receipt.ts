import type { Cos } from './cos.ts'
import { RECORDS } from './cutout.ts'

/** The record of one paid call, written before it is sent, so that a crash cannot hide it. */
export interface Receipt {
  id: string
  /** ISO 8601, COS's clock. */
  at: string
  asker: string
  source: string
  etag: string
  /** Keys of the cutouts asked for; each is billed. */
  cutouts: string[]
  /** `sent`: no answer came, or the instance ended before it; `bought`: answered with success. */
  outcome: 'sent' | 'bought'
  /** Milliseconds until the answer. */
  ms: number
}

const FOLDER = `${RECORDS}receipts/`

/** `.matting/receipts/<yyyy-mm-dd>/<time>-<id>-<number of cutouts>.json`: so a list of keys is enough to count. */
export function receiptKey({ at, id, cutouts }: Receipt): string {
  return `${FOLDER}${at.slice(0, 10)}/${at.slice(11).replace(/\D/g, '')}-${id}-${cutouts.length}.json`
}

export async function writeReceipt(cos: Cos, receipt: Receipt): Promise<void> {
  await cos.put(receiptKey(receipt), JSON.stringify(receipt), { type: 'application/json' })
}

/** How many calls were paid for on a day (`yyyy-mm-dd`, UTC), those under way included: one LIST for every 1000 receipts. */
export async function countPaid(cos: Cos, day: string): Promise<number> {
  let sum = 0
  for await (const { key } of cos.list(`${FOLDER}${day}/`)) sum += Number(/-(\d+)\.json$/.exec(key)?.[1] ?? 0)
  return sum
}

/**
 * The receipts of a day with how many of each one's cutouts were billed. A call that was never answered was billed for what
 * lies there and no other receipt accounts for.
 */
export async function readReceipts(cos: Cos, day: string): Promise<{ receipt: Receipt; billed: number }[]> {
  const receipts: Receipt[] = []
  for await (const { key } of cos.list(`${FOLDER}${day}/`)) {
    const found = await cos.get(key)
    if (found) receipts.push(readReceipt(found.body))
  }
  const accounted = new Set(receipts.flatMap(({ outcome, cutouts }) => (outcome === 'bought' ? cutouts : [])))
  const billed: { receipt: Receipt; billed: number }[] = []
  for (const receipt of receipts) {
    let count = receipt.outcome === 'bought' ? receipt.cutouts.length : 0
    for (const cutout of receipt.outcome === 'sent' ? receipt.cutouts : []) {
      if (accounted.has(cutout) || !(await cos.head(cutout))) continue
      accounted.add(cutout)
      count++
    }
    billed.push({ receipt, billed: count })
  }
  return billed
}

/** @throws SyntaxError, TypeError if it is not what `writeReceipt` wrote. */
function readReceipt(text: string): Receipt {
  const { id, at, asker, source, etag, cutouts, outcome, ms } = Object(JSON.parse(text))
  const texts = [id, at, asker, source, etag]
  if (![...texts, ...Object(cutouts)].every((field) => typeof field === 'string')) throw new TypeError('not a receipt')
  return { id, at, asker, source, etag, cutouts, outcome: outcome === 'bought' ? 'bought' : 'sent', ms: Number(ms) }
}
