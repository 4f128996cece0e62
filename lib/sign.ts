import { createHmac, hash } from 'node:crypto'

export interface Credentials {
  secretId: string
  secretKey: string
  /** Security token of temporary credentials. */
  token?: string
}

/** The parts of a request that are signed, all of them. Path and query are decoded; the path has its leading slash. */
export interface Signable {
  method: string
  pathname: string
  query?: Readonly<Record<string, string>>
  headers: Readonly<Record<string, string>>
}

/** A key for one span of time; it signs any number of requests within it. */
export interface SigningKey {
  /** `<start>;<end>` in Unix seconds. */
  keyTime: string
  /** The fields of a signature that are the same for all requests, for a header and for a URL. */
  header: string
  query: string
  /** 40 hex digits. The next HMAC uses them as text for its key, not as 20 bytes. */
  signKey: string
  hmac: (text: string) => string
  token?: string
}

/** The signature with all strings it was made from, so that a mismatch can be found by comparing them with the server's. */
export interface Signed {
  httpString: string
  stringToSign: string
  headerList: string
  urlParamList: string
  signature: string
}

/**
 * Percent-encodes as COS signs: only RFC 3986's unreserved characters stay, so `!'()*` are encoded too, unlike by
 * encodeURIComponent.
 * @throws URIError on a lone surrogate, which UTF-8 cannot carry.
 */
export function encode(text: string): string {
  const encoded = encodeURIComponent(text)
  // Most texts hold none of them, and `replace` with a function takes twice as long to find none.
  return /[!'()*]/.test(encoded) ? encoded.replace(/[!'()*]/g, percent) : encoded
}

/** The path of an object's key in a URL: slashes are not encoded. */
export function encodeKey(key: string): string {
  return `/${/[^\w.~/-]/.test(key) ? encode(key).replaceAll('%2F', '/') : key}`
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

/** Cache of the key that was made last: all URLs of a window are signed by the same one, which takes longer to make than a URL. */
let latest: { credentials: Credentials; key: SigningKey } | undefined

/** The key for the span from `start` to `end`, both in Unix seconds. */
export function signingKey(credentials: Credentials, start: number, end: number): SigningKey {
  const keyTime = `${start};${end}`
  const { secretId, secretKey, token } = latest?.credentials ?? {}
  const same = secretId === credentials.secretId && secretKey === credentials.secretKey && token === credentials.token
  if (latest?.key.keyTime === keyTime && same) return latest.key
  latest = { credentials: { ...credentials }, key: derive(credentials, keyTime) }
  return latest.key
}

function derive({ secretId, secretKey, token }: Credentials, keyTime: string): SigningKey {
  const signKey = createHmac('sha1', secretKey).update(keyTime).digest('hex')
  const fields = (id: string, time: string) => `q-sign-algorithm=sha1&q-ak=${id}&q-sign-time=${time}&q-key-time=${time}`
  return {
    keyTime,
    header: fields(secretId, keyTime),
    query: fields(encode(secretId), encode(keyTime)),
    signKey,
    hmac: hmacSha1(signKey),
    ...(token && { token }),
  }
}

/** COS request signature, `q-sign-algorithm=sha1` (product/436/7778). */
export function sign(request: Signable, { keyTime, hmac }: Pick<SigningKey, 'keyTime' | 'hmac'>): Signed {
  const query = canonical(request.query)
  const headers = canonical(request.headers)
  const httpString = `${request.method.toLowerCase()}\n${request.pathname}\n${query.text}\n${headers.text}\n`
  const stringToSign = `sha1\n${keyTime}\n${hash('sha1', httpString)}\n`
  const signature = hmac(stringToSign)
  return { httpString, stringToSign, headerList: headers.names, urlParamList: query.names, signature }
}

/** The request's headers with `authorization`, and with the token of temporary credentials, which is signed as well. */
export function signHeaders(request: Signable, key: SigningKey): Record<string, string> {
  const headers: Record<string, string> = { ...request.headers }
  if (key.token) headers['x-cos-security-token'] = key.token
  const { headerList, urlParamList, signature } = sign({ ...request, headers }, key)
  headers.authorization = `${key.header}&q-header-list=${headerList}&q-url-param-list=${urlParamList}&q-signature=${signature}`
  return headers
}

/** A URL that carries its own signature. `origin` is scheme and host; the host must be among the signed headers. */
export function presign(origin: string, request: Signable, key: SigningKey): string {
  const { headerList, urlParamList, signature } = sign(request, key)
  let asked = ''
  for (const name in request.query) asked += `${encode(name)}=${encode(request.query[name] ?? '')}&`
  const lists = `q-header-list=${encode(headerList)}&q-url-param-list=${encode(urlParamList)}`
  // Encoded, because a `+` in a token would be read as a space; the vendor's SDK (3.0.0) does not encode it.
  const token = key.token ? `&x-cos-security-token=${encode(key.token)}` : ''
  return `${origin}${encodeKey(request.pathname.slice(1))}?${asked}${key.query}&${lists}&q-signature=${signature}${token}`
}

/** Names and text come from one sorted list, so that they cannot disagree (the vendor's SDK sorts them differently). */
function canonical(record: Readonly<Record<string, string>> = {}): { names: string; text: string } {
  const pairs: { name: string; value: string }[] = []
  for (const name in record) pairs.push({ name: encode(name).toLowerCase(), value: encode(record[name] ?? '') })
  // Often it is the host alone.
  if (pairs.length > 1) pairs.sort((a, b) => (a.name < b.name ? -1 : 1))
  let names = ''
  let text = ''
  for (const { name, value } of pairs) {
    names += names === '' ? name : `;${name}`
    text += text === '' ? `${name}=${value}` : `&${name}=${value}`
  }
  return { names, text }
}

/**
 * HMAC-SHA1 (RFC 2104) under an ASCII key of at most 64 characters. The key's two blocks are made once, so that a signature
 * takes two one-shot hashes: a third of the time of node:crypto's Hmac object.
 */
export function hmacSha1(key: string): (text: string) => string {
  const inner = Buffer.alloc(64, 0x36)
  const outer = Buffer.alloc(84, 0x5c)
  for (let i = 0; i < key.length; i++) {
    inner[i] = 0x36 ^ key.charCodeAt(i)
    outer[i] = 0x5c ^ key.charCodeAt(i)
  }
  const prefix = inner.toString('latin1')
  return (text) => {
    // As text of one character a byte, which takes less time to write than 40 hex digits.
    outer.write(hash('sha1', prefix + text, 'binary'), 64, 'latin1')
    return hash('sha1', outer)
  }
}
