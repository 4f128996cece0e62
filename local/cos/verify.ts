import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { encode, Refusal } from './answer.ts'
import type { Policy } from './policy.ts'

export interface Key {
  secret: string
  /** A temporary key's token: every request signed with the key must carry it. */
  token?: string
  /** ms since the epoch */
  expires?: number
  /** What it may do; without one everything, as the owner. */
  policy?: Policy
}

/** Who signed a request, and what of it, by the names as they are listed. */
export interface Signer {
  id: string
  policy: Policy | undefined
  headers: readonly string[]
  params: readonly string[]
}

/** What of a request may be signed. */
export interface Signable {
  method: string
  /** Decoded, with its leading slash. */
  path: string
  /** Decoded, names as sent. */
  query: ReadonlyMap<string, string>
  /** By lower-case name; without `host`. */
  headers: ReadonlyMap<string, string>
  /** What the Host header may have been signed as: as sent and, since some SDKs drop it, without the port. */
  hosts: readonly string[]
  bucket: string
}

const MAX_SKEW = 15 * 60

/**
 * Refuses what is not signed by one of `keys` (product/436/7778).
 *
 * As the vendor does, it verifies only what the signature lists: a parameter that is not listed may be added by whoever
 * holds the signed URL, `ci-process` included.
 */
export function verify(request: Signable, keys: ReadonlyMap<string, Key>, now: number): Signer {
  const authorization = request.headers.get('authorization') ?? request.query.get('sign')
  if (authorization !== undefined && !authorization.startsWith('q-')) return verifyV4(request, authorization, keys, now)
  const fields = signatureFields(authorization === undefined ? request.query : headerFields(authorization))
  const key = keyOf(request, fields.ak, keys, now)
  checkTime(fields.signTime, now)
  checkTime(fields.keyTime, now)

  const params = listed(fields.paramList, byEncodedName(request.query))
  const tried = request.hosts.map((host) => {
    const headers = listed(fields.headerList, byEncodedName(new Map([...request.headers, ['host', host]])))
    const format = formatString(request.method, request.path, params.text, headers.text)
    const text = stringToSign(fields.signTime, format)
    const right = same(fields.signature, sign(signKey(key.secret, fields.keyTime), text))
    return { format, text, headers: headers.names, right: right && params.complete && headers.complete }
  })
  const proved = tried.find(({ right }) => right)
  if (proved) return { id: fields.ak, policy: key.policy, headers: proved.headers, params: params.names }
  throw new Refusal('SignatureDoesNotMatch', undefined, {
    StringToSign: tried[0]?.text ?? '',
    FormatString: tried[0]?.format ?? '',
  })
}

/** @throws Refusal unless the key is known, lasts, and came with its token */
function keyOf({ headers, query }: Signable, id: string, keys: ReadonlyMap<string, Key>, now: number): Key {
  const key = keys.get(id)
  if (!key) throw new Refusal('InvalidAccessKeyId')
  const token =
    headers.get('x-cos-security-token') ?? headers.get('x-ci-security-token') ?? query.get('x-cos-security-token')
  if (!same(token ?? '', key.token ?? '')) throw new Refusal('InvalidAccessKeyId')
  if (key.expires !== undefined && now >= key.expires) throw new Refusal('ExpiredToken')
  return key
}

/**
 * The signature of COS before it spoke XML, which the SDKs' `getV4Auth` still makes for `?sign=`: the base64 of an HMAC and the text
 * that it signs. No page says what it is good for today; here it reads the one object that it names.
 */
function verifyV4(request: Signable, signature: string, keys: ReadonlyMap<string, Key>, now: number): Signer {
  const bytes = Buffer.from(signature, 'base64')
  const text = bytes.subarray(20)
  const fields = new URLSearchParams(text.toString())
  const [appid, name, id] = ['a', 'b', 'k'].map((field) => fields.get(field))
  if (!id || !/^(GET|HEAD)$/.test(request.method)) throw new Refusal('AccessDenied')
  const key = keyOf(request, id, keys, now)
  checkTime(`${fields.get('t')};${fields.get('e')}`, now)
  const mac = createHmac('sha1', key.secret).update(text).digest('hex')
  if (!same(bytes.subarray(0, 20).toString('hex'), mac)) throw new Refusal('SignatureDoesNotMatch')
  if (request.bucket !== `${name}-${appid}` || fields.get('f') !== `/${appid}/${name}${request.path}`)
    throw new Refusal('AccessDenied')
  return { id, policy: key.policy, headers: [], params: [] }
}

export function signKey(secret: string, keyTime: string): string {
  return createHmac('sha1', secret).update(keyTime).digest('hex')
}

export function formatString(method: string, path: string, params: string, headers: string): string {
  return `${method.toLowerCase()}\n${path}\n${params}\n${headers}\n`
}

export function stringToSign(signTime: string, format: string): string {
  return `sha1\n${signTime}\n${createHash('sha1').update(format).digest('hex')}\n`
}

/** The SignKey's hex text is the key, not the bytes it stands for. */
export function sign(key: string, text: string): string {
  return createHmac('sha1', key).update(text).digest('hex')
}

/** Names as they are listed and sorted: encoded, then lower-case. */
export function byEncodedName(values: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...values].map(([name, value]) => [encode(name).toLowerCase(), value]))
}

/**
 * The listed names, their canonical text, and whether all of them are there.
 *
 * SDKs write the list with its names encoded; in a URL it may be encoded once more, or not, so that after decoding the
 * URL a name may stand in either form. The semicolons, too, are sent as `;`, `%3B` or `%3b`; a name may hold one itself, encoded.
 */
export function listed(
  list: string,
  values: ReadonlyMap<string, string>,
): { names: string[]; text: string; complete: boolean } {
  const single = list.includes(';') || values.has(list.toLowerCase())
  const names = list
    .split(single ? ';' : /%3b/i)
    .filter((name) => name !== '')
    .map((name) => name.toLowerCase())
    .map((name) => (values.has(name) ? name : encode(name).toLowerCase()))
    .sort()
  const pairs = names.flatMap((name) => {
    const value = values.get(name)
    return value === undefined ? [] : [`${name}=${encode(value)}`]
  })
  return { names, text: pairs.join('&'), complete: pairs.length === names.length }
}

interface SignatureFields {
  ak: string
  signTime: string
  keyTime: string
  headerList: string
  paramList: string
  signature: string
}

/** The seven fields of a signature. */
function signatureFields(fields: ReadonlyMap<string, string>): SignatureFields {
  const field = (name: string): string => {
    const value = fields.get(name)
    if (value === undefined) throw new Refusal('AccessDenied')
    return value
  }
  if (field('q-sign-algorithm') !== 'sha1') throw new Refusal('AccessDenied')
  return {
    ak: field('q-ak'),
    signTime: field('q-sign-time'),
    keyTime: field('q-key-time'),
    headerList: field('q-header-list'),
    paramList: field('q-url-param-list'),
    signature: field('q-signature'),
  }
}

function headerFields(authorization: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const part of authorization.split('&')) {
    const [name = '', ...rest] = part.split('=')
    if (fields.has(name)) throw new Refusal('AccessDenied')
    fields.set(name, rest.join('='))
  }
  return fields
}

function checkTime(period: string, now: number): void {
  const match = /^(\d{1,12});(\d{1,12})$/.exec(period)
  if (!match) throw new Refusal('AccessDenied')
  const seconds = Math.floor(now / 1000)
  const serverTime = { ServerTime: new Date(now).toISOString() }
  if (Number(match[1]) > seconds + MAX_SKEW) throw new Refusal('RequestTimeTooSkewed', undefined, serverTime)
  // So the vendor's SDKs know it: code AccessDenied with this very message.
  if (Number(match[2]) < seconds) throw new Refusal('AccessDenied', 'Request has expired', serverTime)
}

/** In constant time, so that neither a signature nor a token can be found out byte by byte. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
