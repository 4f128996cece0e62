import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
  /** What is charged apart. */
  readonly processing: ProcessingBill

  constructor(dir: string) {
    this.#file = join(dir, 'bill.jsonl')
    this.processing = new ProcessingBill(dir)
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
    this.processing.clear()
  }
}

/** Basic image processing, which is charged apart from paid calls, and much less (product/460/58117). */
export interface ProcessingCount {
  /** One for each result or information that was asked for. */
  calls: number
  /** Of their sources. */
  bytes: number
  /** How many of the calls were advanced compression, charged by the call. */
  advanced: number
}

/** In `processing.json`, as large after a million calls as after one. */
class ProcessingBill {
  readonly #file: string
  #count: ProcessingCount

  constructor(dir: string) {
    this.#file = join(dir, 'processing.json')
    this.#count = existsSync(this.#file)
      ? parseCount(readFileSync(this.#file, 'utf8'))
      : { calls: 0, bytes: 0, advanced: 0 }
  }

  add(bytes: number, advanced: boolean): void {
    const before = this.#count
    this.#write({
      calls: before.calls + 1,
      bytes: before.bytes + bytes,
      advanced: before.advanced + (advanced ? 1 : 0),
    })
  }

  count(): ProcessingCount {
    return { ...this.#count }
  }

  clear(): void {
    this.#write({ calls: 0, bytes: 0, advanced: 0 })
  }

  #write(count: ProcessingCount): void {
    writeFileSync(`${this.#file}.tmp`, JSON.stringify(count))
    renameSync(`${this.#file}.tmp`, this.#file)
    this.#count = count
  }
}

function parseCount(text: string): ProcessingCount {
  const value = Object(JSON.parse(text)) as Partial<Record<keyof ProcessingCount, unknown>>
  if ([value.calls, value.bytes, value.advanced].every((n) => typeof n === 'number')) return value as ProcessingCount
  throw new Error('processing.json does not describe what was processed')
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
