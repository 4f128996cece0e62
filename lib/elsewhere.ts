import { createHash } from 'node:crypto'
import type { Cos } from './cos.ts'
import { RECORDS } from './cutout.ts'

/** The SHA-256 of the bytes of a picture elsewhere, in hex, and their number. */
export interface Content {
  sha256: string
  size: number
}

/** Remembers which bytes belong to a validator, so that they are fetched once and not for every request. */
export type Memory = Pick<Cos, 'get' | 'put'>

/**
 * The name of a picture elsewhere in keys and records, and so in the URLs of its cutouts: its URL, but with a hash instead of
 * the query, which may hold a token.
 */
export function elsewhereName({ origin, pathname, search }: URL): string {
  return origin + pathname + (search && `?${sha256(search).slice(0, 32)}`)
}

/**
 * The key of a record. It depends on the picture's URL, on where redirects led (without the query, which may hold a new
 * signature each time), and on the validator that its host sent, because a validator is valid for one resource only (RFC 9110
 * 8.8).
 */
export function recordKey(asked: URL, found: string, validator: string): string {
  return `${RECORDS}elsewhere/${sha256(JSON.stringify([asked.href, found, validator]))}.json`
}

/** Undefined if nothing is remembered, or the record is malformed. */
export async function recall(memory: Memory, key: string): Promise<Content | undefined> {
  const found = await memory.get(key)
  try {
    const { sha256, size } = Object(JSON.parse(found?.body ?? ''))
    return /^[\da-f]{64}$/.test(sha256) && Number.isSafeInteger(size) && size >= 0 ? { sha256, size } : undefined
  } catch {
    return undefined
  }
}

/** If this fails, the next request fetches the bytes again. */
export async function remember(memory: Memory, key: string, { sha256, size }: Content): Promise<void> {
  await memory.put(key, JSON.stringify({ sha256, size }), { type: 'application/json' }).catch(() => {})
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
