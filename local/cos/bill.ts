import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One cutout that was paid for. */
export interface BillItem {
  /** ISO 8601 */
  at: string
  /** The vendor's methods one, two and three, in this order. */
  method: 'download' | 'upload' | 'cloud'
  /** The source's key; or the detect-url without its query, which may hold a signature. */
  source: string
  /** The source's ETag without quotes; for a detect-url the MD5 of the bytes that were fetched. */
  etag: string
  rule: string
  /** The cutout's key; '' for a download. */
  fileid: string
  /** `lost`: paid, but a fault took the answer away; `dropped`: paid, but a fault took the result away. */
  outcome: 'stored' | 'returned' | 'lost' | 'dropped'
  /** Whether no product was found. */
  blank: boolean
}

/** All that was paid for, in `bill.jsonl`. It is written before the request is answered, so that it survives a crash. */
export class Bill {
  readonly #file: string
  #items: BillItem[] = []

  constructor(dir: string) {
    this.#file = join(dir, 'bill.jsonl')
    if (!existsSync(this.#file)) return
    const text = readFileSync(this.#file, 'utf8')
    // A process that was killed while writing leaves an incomplete last line, to which the next one must not be appended.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    if (whole !== text) writeFileSync(this.#file, whole)
    this.#items = whole.split('\n').flatMap((line) => (line === '' ? [] : [parseItem(line)]))
  }

  add(items: readonly BillItem[]): void {
    if (items.length === 0) return
    appendFileSync(this.#file, items.map((item) => `${JSON.stringify(item)}\n`).join(''))
    this.#items.push(...items)
  }

  items(): BillItem[] {
    return [...this.#items]
  }

  clear(): void {
    rmSync(this.#file, { force: true })
    this.#items = []
  }
}

function parseItem(line: string): BillItem {
  const value = Object(JSON.parse(line)) as Partial<Record<keyof BillItem, unknown>>
  const { at, method, source, etag, rule, fileid, outcome, blank } = value
  if (
    [at, method, source, etag, rule, fileid, outcome].every((t) => typeof t === 'string') &&
    typeof blank === 'boolean'
  )
    return value as BillItem
  throw new Error('bill.jsonl: a line does not describe a paid cutout')
}
