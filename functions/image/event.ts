import { MattingError } from '../../lib/errors.ts'
import { fields } from '../../lib/fields.ts'

/** What a function URL expects back (product/583/96099). */
export interface UrlResult {
  statusCode: number
  headers: Record<string, string>
  body: string
}

/** A request, as far as it is read here. */
export interface HttpRequest {
  method: string
  url: string
  /** The header If-None-Match. */
  ifNoneMatch?: string | undefined
  /** The header Accept. */
  accept?: string | undefined
  /** Whether the header Cache-Control says `no-cache`, as a browser's forced reload does (RFC 9111, 5.2.1.4). */
  anew?: boolean
  /** Whether the platform has certainly decoded the path, so that it has only one meaning. */
  decoded?: boolean
}

/** An answer. Not fetch's Response, which Node loads when it is first used: that takes 16 ms of a cold start. */
export interface HttpResponse {
  status: number
  /** Their names are in lower case. */
  headers: Record<string, string>
  body: string
}

/**
 * Reads a function-URL event: SCF's `httpMethod`, `path`, `queryString`, or Lambda's (payload 2.0)
 * `requestContext.http.method`, `rawPath`, `rawQueryString`; other gateways give the query in `queryStringParameters` and
 * `multiValueQueryStringParameters`.
 * @throws MattingError bad-request
 */
export function toRequest(event: unknown): HttpRequest {
  const { path, rawPath, httpMethod, requestContext, rawQueryString, headers } = fields(event)
  const method = httpMethod ?? fields(fields(requestContext).http).method
  const pathname = path ?? rawPath
  if (typeof method !== 'string' || typeof pathname !== 'string') throw new MattingError('bad-request')
  try {
    const search = typeof rawQueryString === 'string' ? rawQueryString : readQuery(fields(event)).toString()
    const entries = Object.entries(fields(headers))
    const header = (wanted: string) => {
      const [, value] = entries.find(([name]) => name.toLowerCase() === wanted) ?? []
      return value === undefined ? undefined : String(value)
    }
    const ifNoneMatch = header('if-none-match')
    // A header consists of bytes. Others are not looked at, because some hold what is none, such as a Referer that is not ASCII.
    if (!/^[\t\x20-\xff]*$/.test(ifNoneMatch ?? '')) throw new MattingError('bad-request')
    const escaped = escapePath(pathname)
    const { href: url } = new URL(`http://function${escaped}?${search}`)
    const anew = /\bno-cache\b/i.test(header('cache-control') ?? '')
    return { method, url, ifNoneMatch, accept: header('accept'), anew, decoded: escaped !== pathname }
  } catch (cause) {
    throw new MattingError('bad-request', undefined, { cause })
  }
}

export function toResult({ status: statusCode, headers, body }: HttpResponse): UrlResult {
  return { statusCode, headers, body }
}

/**
 * The query, wherever the event holds it. Some gateways give it in several places, and one of these may hold only a part of it
 * (product/583/12513). The access check refuses a parameter that was given twice, so both values must be kept: a parameter has
 * all values of the place that holds most of them, and every other value that another place holds.
 */
function readQuery(event: Record<string, unknown>): URLSearchParams {
  const { queryString, queryStringParameters, multiValueQueryStringParameters } = event
  if (queryString && typeof queryString === 'string') return new URLSearchParams(queryString)
  const query = new Map<string, string[]>()
  for (const table of [queryString, queryStringParameters, multiValueQueryStringParameters]) {
    for (const [name, value] of Object.entries(fields(table))) {
      const values = Array.isArray(value) ? value.map(String) : [String(value)]
      const known = query.get(name)
      query.set(name, known ? joined(known, values) : values)
    }
  }
  const all = new URLSearchParams()
  for (const [name, values] of query) for (const value of values) all.append(name, value)
  return all
}

function joined(a: readonly string[], b: readonly string[]): string[] {
  const [most, other] = a.length > b.length ? [a, b] : [b, a]
  const told = new Set(most)
  return [...most, ...other.filter((value) => !told.has(value))]
}

/**
 * It is not documented whether the platform passes the path raw or decoded. A path with a character that no request line can
 * carry was decoded, so it is encoded again. Any other path stays as it is, and request.ts considers both readings.
 */
function escapePath(path: string): string {
  // Also encoded here: the characters that a URL's path encodes (WHATWG URL 1.3). If `Request` encoded them, the path as it
  // came would be lost.
  if (/^\/[\x21-\x7e]*$/.test(path) && !/["#<>?\\^`{}]/.test(path)) return path
  return `/${encodeURIComponent(path.replace(/^\//, '')).replaceAll('%2F', '/')}`
}
