import type { MattingError } from '../../lib/errors.ts'
import type { Spent } from '../../lib/invocation.ts'
import type { HttpResponse } from './event.ts'

/** For pages of other origins that draw the picture on a canvas or read its bytes. */
export const OPEN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag, retry-after, server-timing, x-matting',
  'timing-allow-origin': '*',
}

/** An error as problem details (RFC 9457), never cached. `now` is by COS's clock, by which the day of DAILY_LIMIT ends. */
export function problem(error: MattingError, now: number, spent?: Spent): HttpResponse {
  const { code, status, message, retryable } = error
  const seconds = Math.floor(now / 1000)
  // The limit starts anew at midnight, UTC.
  const wait = code === 'limit-reached' ? 86_400 - (seconds % 86_400) : code === 'changing-too-fast' ? 60 : 2
  const headers = {
    ...timing(spent),
    'content-type': 'application/problem+json',
    ...(retryable && { 'retry-after': String(wait) }),
    ...(code === 'method-refused' && { allow: 'GET, HEAD' }),
  }
  return json({ title: message, status, code }, { status, headers })
}

/** JSON that no cache keeps and every page may read. */
export function json(body: unknown, init: { status?: number; headers?: Record<string, string> } = {}): HttpResponse {
  const { status = 200, headers = {} } = init
  const standard = { 'content-type': 'application/json', 'cache-control': 'no-store', ...OPEN }
  return { status, headers: { ...standard, ...headers }, body: JSON.stringify(body) }
}

/** Server-Timing (W3C): the time spent in each stage. */
export function timing(spent?: Spent): Record<string, string> {
  const stages = [...(spent?.ms ?? [])].map(([stage, ms]) => `${stage};dur=${ms}`)
  return stages.length > 0 ? { 'server-timing': stages.join(', ') } : {}
}
