import { createHash } from 'node:crypto'
import type { Cos } from './cos.ts'
import { RECORDS } from './cutout.ts'

/** The bytes of a picture elsewhere: their SHA-256 in hex, and how many they are. */
export interface Content {
  sha256: string
  size: number
}

/** Where it is remembered which bytes were behind a validator, so that they are fetched once and not at every look. */
export type Memory = Pick<Cos, 'get' | 'put'>

/**
 * What a picture elsewhere is called in keys and records, and so in the URLs of its cutouts: its URL, but a hash in the place of
 * its query, which may hold a token.
 */
export function elsewhereName({ origin, pathname, search }: URL): string {
  return origin + pathname + (search && `?${sha256(search).slice(0, 32)}`)
}

/**
 * The key of a record: for a picture by its URL, where redirects led (not by its query, which may hold a signature that is new
 * each time), and what its host tells versions apart by, for validators are those of one resource (RFC 9110 8.8).
 */
export function recordKey(asked: URL, found: string, validator: string): string {
  return `${RECORDS}elsewhere/${sha256(JSON.stringify([asked.href, found, validator]))}.json`
}

/** Undefined if nothing is remembered, or what is there has not the form of it. */
export async function recall(memory: Memory, key: string): Promise<Content | undefined> {
  const found = await memory.get(key)
  try {
    const { sha256, size } = Object(JSON.parse(found?.body ?? ''))
    return /^[\da-f]{64}$/.test(sha256) && Number.isSafeInteger(size) && size >= 0 ? { sha256, size } : undefined
  } catch {
    return undefined
  }
}

/** Should this fail, the bytes are fetched again by the next who looks. */
export async function remember(memory: Memory, key: string, { sha256, size }: Content): Promise<void> {
  await memory.put(key, JSON.stringify({ sha256, size }), { type: 'application/json' }).catch(() => {})
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
