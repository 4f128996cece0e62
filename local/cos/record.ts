import type { IncomingHttpHeaders } from 'node:http'

export interface RequestRecord {
  /** ISO 8601 */
  at: string
  id: string
  operation: string
  method: string
  /** With the query, but without signature and token. */
  path: string
  /** 0 if a fault took the answer away */
  status: number
  ms: number
  /** Decoded; '' for a request about the bucket. */
  key: string
  /** Whether a function's role signed, or another key, which is not named; '' if nobody did. */
  by: 'function' | 'other' | ''
  /** Origin of the web page that asked, or `same-site` for one that hides it, on this machine; '' for others. */
  page: string
  /** How many cutouts were billed. */
  paid: number
  /** The code of a refusal; '' if it was none. */
  code: string
}

const MOST = 10_000

/** The last requests, and whoever wants to be told of each. */
export class Requests {
  readonly #records: RequestRecord[] = []
  readonly #listeners = new Set<(record: RequestRecord) => void>()

  add(record: RequestRecord): void {
    this.#records.push(record)
    if (this.#records.length > MOST) this.#records.shift()
    for (const listener of this.#listeners) listener(record)
  }

  list(): RequestRecord[] {
    return [...this.#records]
  }

  watch(listener: (record: RequestRecord) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  clear(): void {
    this.#records.length = 0
  }
}

/** After a redirect from another port browsers name no origin, but the Referer. Its path may hold anything, so it is left out. */
export function pageOf({ origin, referer, 'sec-fetch-site': site }: IncomingHttpHeaders): string {
  const url = origin === undefined || origin === 'null' ? referer : origin
  if (url !== undefined && URL.canParse(url)) return new URL(url).origin
  return site === 'same-site' ? site : ''
}
