import type { IncomingMessage } from 'node:http'
import { Refusal } from './answer.ts'
import type { Signable } from './verify.ts'

export interface CosRequest extends Signable {
  id: string
  /** The path as sent: encoded, without the query, so that it may be shown. */
  rawPath: string
  key: string
  /** The kind of host: `cos` for objects; `pic` and `ci` belong to Cloud Infinite, and also switch it on. */
  door: 'cos' | 'pic' | 'ci'
  bucket: string
  region: string
  body: IncomingMessage
}

export const MAX_KEY_BYTES = 850

const SERVICE_HOST = /^service\.cos(?:\.[a-z0-9-]+)?\.(?:myqcloud\.com|tencentcos\.cn)$/

const VENDOR_HOST =
  /^(?:(?<bucket>[a-z0-9-]+)\.)?(?<door>cos|cos-internal|pic|ci)\.(?<region>[a-z0-9-]+)\.(?:myqcloud\.com|tencentcos\.cn|tencentci\.cn)$/

const VENDOR = /\.(?:myqcloud\.com|tencentcos\.cn|tencentci\.cn)$/

/**
 * Reads the request from its raw target, because WHATWG URL parsing would turn `/a/../b` into the path of another object.
 * @throws Refusal
 */
export function readRequest(
  message: IncomingMessage,
  id: string,
  home: { bucket: string; region: string },
): CosRequest {
  const { host, local } = readTarget(message)
  if (!local.startsWith('/')) throw new Refusal('InvalidURI')
  const mark = local.indexOf('?')
  const rawPath = mark < 0 ? local : local.slice(0, mark)
  const path = decode(rawPath)
  const key = keyOf(path)
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new Refusal('KeyTooLong')

  return {
    id,
    method: message.method ?? '',
    rawPath,
    path,
    key,
    query: readQuery(mark < 0 ? '' : local.slice(mark + 1)),
    headers: readHeaders(message),
    hosts: [...new Set([host, host.replace(/:\d+$/, '')])],
    ...readHost(host, home),
    body: message,
  }
}

/** The host that is asked, and the target at it. */
export function readTarget(message: IncomingMessage): { host: string; local: string } {
  const target = utf8(message.url ?? '')
  // RFC 9112 §3.2.2: an absolute-form target's host wins over the Host header.
  const [absolute, host = '', rest = ''] = /^https?:\/\/([^/?]*)(.*)$/is.exec(target) ?? []
  if (absolute === undefined) return { host: message.headers.host ?? '', local: target }
  return { host, local: rest.startsWith('/') ? rest : `/${rest}` }
}

/** Whether a host name is the vendor's, whatever it is for. No web page can make such a name resolve to this machine. */
export function isVendorHost(name: string): boolean {
  return VENDOR.test(name)
}

/** The key in a path. A path of only slashes and dots means the bucket, by comments in the tests of the vendor's Node SDK. */
export function keyOf(path: string): string {
  return path.split('/').every((part) => part === '' || part === '.') ? '' : path.slice(1)
}

function readHost(
  host: string,
  home: { bucket: string; region: string },
): Pick<CosRequest, 'bucket' | 'door' | 'region'> {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  if (SERVICE_HOST.test(name)) throw new Refusal('NotImplemented', 'The local cloud does not implement GET Service.')
  const parts = VENDOR_HOST.exec(name)?.groups
  // Browsers resolve names below localhost to this machine (RFC 6761, 6.3). Here they name buckets other than the default one.
  const [, other] = /^([a-z0-9-]+)\.localhost$/.exec(name) ?? []
  if (other) return { bucket: other, region: home.region, door: 'cos' }
  if (parts ? parts.region === 'accelerate' || (!parts.bucket && parts.door !== 'ci') : isVendorHost(name)) {
    const what = parts?.door?.startsWith('cos') && !parts.bucket ? 'GET Service' : `the host ${name}`
    throw new Refusal('NotImplemented', `The local cloud does not implement ${what}.`)
  }
  // Not `...home`, because that is the whole state, and its `hosts` are not the request's.
  if (!parts) return { bucket: home.bucket, region: home.region, door: 'cos' }
  const door = parts.door === 'pic' || parts.door === 'ci' ? parts.door : 'cos'
  return { bucket: parts.bucket ?? '', region: parts.region ?? '', door }
}

function readQuery(raw: string): Map<string, string> {
  const query = new Map<string, string>()
  const names = new Set<string>()
  for (const part of raw.split('&')) {
    if (part === '') continue
    // An operation is a name as a whole, also where base64 in it ends in `=`, as in the example of product/1159/44894.
    const at = part.startsWith('imageMogr2/') ? part.replace(/=$/, '').length : part.indexOf('=')
    const name = decode(at < 0 ? part : part.slice(0, at))
    // Signatures write names in lower case. Otherwise one value might be verified, and another one used.
    if (names.has(name.toLowerCase())) throw new Refusal('InvalidURI', 'A query parameter is repeated.')
    names.add(name.toLowerCase())
    query.set(name, at < 0 ? '' : decode(part.slice(at + 1)))
  }
  return query
}

function readHeaders(message: IncomingMessage): Map<string, string> {
  const headers = new Map<string, string>()
  for (const [name, value] of Object.entries(message.headers)) {
    if (name !== 'host' && typeof value === 'string') headers.set(name, utf8(value))
  }
  return headers
}

/** Decodes percent-encoding only. A `+` stays, because the vendor's own SDK sends tokens with an unencoded one. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Refusal('InvalidURI')
  }
}

/** Node reads header bytes as Latin-1, but SDKs sign and send UTF-8. */
function utf8(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, 'latin1'))
  } catch {
    return text
  }
}

/** The target as it may be recorded: without signature and token, and without a detect-url's query, which may hold others. */
export function safeTarget({ rawPath, query }: CosRequest): string {
  const kept = [...query].filter(([name]) => !/^q-|token|^sign/i.test(name))
  if (kept.length === 0) return rawPath
  const text = kept.map(([name, value]) => {
    const safe = name === 'detect-url' ? withoutQuery(value) : value
    return safe === '' ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(safe)}`
  })
  return `${rawPath}?${text.join('&')}`
}

/** A URL without user, query and fragment, which may be secret, even if it is encoded several times. */
export function withoutQuery(url: string): string {
  return url.replace(/(?:[?#]|%(?:25)*3f).*$/is, '').replace(/\/\/[^/]*@/, '//')
}
