import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from './error.ts'

export interface SignedRequest {
  method: string
  /** As it was sent, after the question mark. */
  search: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/** What is known of a key. */
export interface ApiKey {
  secret: string
  token?: string
  /** ms since the epoch */
  expires?: number
}

/** "Timestamp and the server's time may differ by five minutes at most." */
const WINDOW = 300_000

const AUTHORIZATION =
  /^TC3-HMAC-SHA256 Credential=([^/\s]+)\/(\d{4}-\d\d-\d\d)\/([a-z0-9-]+)\/tc3_request, *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})$/

/**
 * Verifies a signature of version 3, from the vendor's page (product/api/1021/34193). The service that is signed is not held
 * against the host: here one host stands for all.
 * @returns the key's id
 * @throws ApiError AuthFailure.…
 */
export function verify(request: SignedRequest, keys: { get(id: string): ApiKey | undefined }, now: number): string {
  const { headers, body, method } = request
  const [, id = '', date = '', service = '', names = '', signature = ''] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (signature === '')
    throw new ApiError('AuthFailure.InvalidAuthorization', 'The Authorization header is not as TC3-HMAC-SHA256 has it.')
  const timestamp = String(headers['x-tc-timestamp'] ?? '')
  if (!/^\d{1,12}$/.test(timestamp)) throw new ApiError('MissingParameter', 'X-TC-Timestamp is missing or no number.')
  const time = Number(timestamp) * 1000
  if (Math.abs(now - time) > WINDOW)
    throw new ApiError('AuthFailure.SignatureExpire', 'X-TC-Timestamp and the time here differ by over five minutes.')
  const key = keys.get(id)
  if (!key) throw new ApiError('AuthFailure.SecretIdNotFound', 'There is no such SecretId.')
  if ((key.token ?? '') !== String(headers['x-tc-token'] ?? '') || (key.expires !== undefined && key.expires < now))
    throw new ApiError('AuthFailure.TokenFailure', 'The token is not that of the key, or has run out.')
  const fail = (why: string) => new ApiError('AuthFailure.SignatureFailure', `The signature is wrong: ${why}.`)
  if (date !== new Date(time).toISOString().slice(0, 10)) throw fail('its date is not that of X-TC-Timestamp in UTC')
  const list = names.split(';')
  for (const name of ['content-type', 'host']) if (!list.includes(name)) throw fail(`SignedHeaders must hold ${name}`)
  const missing = list.find((name) => headers[name] === undefined)
  if (missing) throw fail(`SignedHeaders holds ${missing}, and the request does not`)

  const host = headers.host ?? ''
  // The vendor's hosts have no port, and its Node SDK leaves one out where there is.
  const right = [host, host.replace(/:\d+$/, '')].some((name) => {
    const canonical = list.map(
      (header) => `${header}:${(header === 'host' ? name : String(headers[header])).trim().toLowerCase()}\n`,
    )
    const query = method === 'POST' ? '' : request.search
    const text = [method, '/', query, canonical.join(''), names, hash(body)].join('\n')
    const toSign = ['TC3-HMAC-SHA256', timestamp, `${date}/${service}/tc3_request`, hash(text)].join('\n')
    const signing = [date, service, 'tc3_request'].reduce<string | Buffer>(hmac, `TC3${key.secret}`)
    return timingSafeEqual(hmac(signing, toSign), Buffer.from(signature, 'hex'))
  })
  if (!right) throw fail('another one fits this request and key')
  return id
}

function hash(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
