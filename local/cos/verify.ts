import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { encode, Refusal } from './answer.ts'
import type { Policy } from './policy.ts'

export interface Key {
  secret: string
  /** The token of a temporary key. Every request that is signed with the key must carry it. */
  token?: string
  /** ms since the epoch */
  expires?: number
  /** What it may do; without a policy it may do everything, like the owner. */
  policy?: Policy
}

/** Who signed a request, and the names of the headers and parameters that were signed. */
export interface Signer {
  id: string
  policy: Policy | undefined
  headers: readonly string[]
  params: readonly string[]
}

/** The parts of a request that may be signed. */
export interface Signable {
  method: string
  /** Decoded, with its leading slash. */
  path: string
  /** Decoded, names as sent. */
  query: ReadonlyMap<string, string>
  /** By lower-case name; without `host`. */
  headers: ReadonlyMap<string, string>
  /** The values that may have been signed as Host: the one sent, and that without the port, which some SDKs drop. */
  hosts: readonly string[]
  bucket: string
}

/** How many seconds a signature may begin in the future. */
const MAX_SKEW = 15 * 60

/**
 * Refuses a request that is not signed by one of `keys` (product/436/7778). Like the vendor, it verifies only what the
 * signature lists. So whoever holds a signed URL may add any parameter that is not listed, even `ci-process`.
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

/** @throws Refusal unless the key is known, has not expired and came with its token */
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
 * Verifies the signature of the older JSON API of COS, which `getV4Auth` of the SDKs still makes for `?sign=`: the base64 of
 * an HMAC and of the text that it signs. No page says what it is still good for. Here it may only read the one object that it
 * names.
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

/** The key of the HMAC is the SignKey's hex text, not the bytes that it stands for. */
export function sign(key: string, text: string): string {
  return createHmac('sha1', key).update(text).digest('hex')
}

/** The values by their names as a signature lists and sorts them: encoded, then in lower case. */
export function byEncodedName(values: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...values].map(([name, value]) => [encode(name).toLowerCase(), value]))
}

/**
 * The listed names, their canonical text, and whether the request has all of them.
 *
 * SDKs encode the names in the list. In a URL the list may be encoded once more or not, so after the URL was decoded a name
 * may have either form. The semicolons, too, are sent as `;`, `%3B` or `%3b`, and a name may itself hold an encoded one.
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
  // The vendor's SDKs recognise an expired signature by AccessDenied with this message.
  if (Number(match[2]) < seconds) throw new Refusal('AccessDenied', 'Request has expired', serverTime)
}

/** Compares in constant time, so that neither a signature nor a token can be guessed byte by byte. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
