import { XMLParser } from 'fast-xml-parser'
import { type Code, MattingError } from './errors.ts'

/** An answer of COS or Cloud Infinite, or of a proxy on the way. */
export interface Answer {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** What HEAD tells about an object. `etag` has no quotes, `size` is in bytes. */
export interface ObjectHead {
  etag: string
  size: number
  /** When it was stored, by COS's clock: in milliseconds since the epoch, but always whole seconds. */
  modified: number
  /** Content-Type, '' if it has none. */
  type: string
  /** Its own metadata `x-cos-meta-matting`. */
  matting?: string
}

/** A small object, and when it was written and read, by COS's clock; in milliseconds since the epoch. */
export interface ObjectRead {
  body: string
  written: number
  read: number
}

/** Some bytes of an object, its whole size, and when it was stored: in milliseconds since the epoch, by COS's clock. */
export interface ObjectPart {
  bytes: Buffer
  total: number
  modified: number
}

/** An object in a list. */
export interface Listed {
  key: string
  size: number
  etag: string
  written: number
}

/** Cache of the parser, made for the first answer in XML: a hit needs none, and in the bundles the package is evaluated with it. */
let parser: XMLParser | undefined

/**
 * Whether an answer comes from the vendor: each has a request id (product/436/7729), and the vendor's errors have a known form.
 * A captive portal, a proxy or a parked domain answers 200 or 404 to any request; this must not be read as "paid", "free" or
 * "gone".
 */
export function isVendors(answer: Answer): boolean {
  return hasId(answer.headers) || (answer.body.includes('<Error>') && vendorCode(answer) !== '')
}

/** The part of `isVendors` that needs only the headers. */
export function hasId(headers: Answer['headers']): boolean {
  return headers['x-cos-request-id'] !== undefined || headers['x-ci-request-id'] !== undefined
}

/** The vendor's error code of an answer; answers to HEAD have no body, so they have none. */
export function vendorCode({ body }: Answer): string {
  const text = body.toString().trim()
  try {
    // Cloud Infinite answers errors in XML or in JSON.
    const code = text.startsWith('{') ? Object(JSON.parse(text)).code : child(parse(body), 'Error').Code
    return typeof code === 'string' ? code : ''
  } catch {
    return '' // The answer broke off: the status must be enough.
  }
}

/** @throws MattingError unavailable, unless an answer to HEAD has all required headers */
export function readHead({ headers }: Answer): ObjectHead {
  const { 'content-type': type, 'x-cos-meta-matting': matting } = headers
  const etag = unquote(text(headers.etag))
  const [size, modified] = [count(headers['content-length']), date(headers['last-modified'])]
  // The ETag distinguishes the versions of a photo; without it a cutout has no name.
  if (etag.length < 16 || Number.isNaN(size + modified)) throw odd('no ETag, size or date')
  return { etag, size, modified, type: text(type), ...(typeof matting === 'string' && { matting }) }
}

/** @throws MattingError unavailable, unless an answer to GET has its dates; without them no claim would ever end */
export function readObject({ headers, body }: Answer): ObjectRead {
  const [written, read] = [date(headers['last-modified']), date(headers.date)]
  if (Number.isNaN(written + read)) throw odd('no dates')
  return { body: body.toString(), written, read }
}

/** @throws MattingError unavailable, unless an answer to GET holds the bytes from `start` on */
export function readPart({ status, headers, body: bytes }: Answer, start: number): ObjectPart {
  // There are no bytes from there on, for example because the object is empty.
  if (status === 416) return { bytes: Buffer.alloc(0), total: 0, modified: 0 }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text(headers['content-range'])) ?? []
  // A server may answer with the whole object.
  const [from, to, size] =
    status === 200 ? [0, bytes.length - 1, bytes.length] : [Number(first), Number(last), Number(total)]
  const modified = date(headers['last-modified'])
  const fits = from === start && to - from + 1 === bytes.length && to < size
  if (!fits || Number.isNaN(modified)) throw odd('other bytes than were asked for')
  return { bytes, total: size, modified }
}

/**
 * @throws MattingError unavailable, unless it is a complete page of the list of this prefix; an object left out of it would be
 * paid for again
 */
export function readPage({ body }: Answer, prefix: string): { objects: Listed[]; more: boolean } {
  const { IsTruncated, EncodingType, Contents = [] } = child(parse(body), 'ListBucketResult')
  // Without these fields it is no list, or a list that broke off, or its keys are not encoded as requested.
  if (!/^(true|false)$/.test(String(IsTruncated)) || EncodingType !== 'url' || !Array.isArray(Contents)) {
    throw odd('no list')
  }
  const objects = Contents.map((entry: unknown) => {
    const { Key, Size, ETag, LastModified } = Object(entry)
    const object = { key: decode(Key), size: count(Size), etag: unquote(text(ETag)), written: date(LastModified) }
    if (!object.key?.startsWith(prefix) || Number.isNaN(object.size + object.written)) throw odd('no list')
    return { ...object, key: object.key }
  })
  return { objects, more: IsTruncated === 'true' }
}

/**
 * The ETag of the photo that was cut out, if Cloud Infinite tells it. Status 200 proves nothing: the body may hold an <Error>,
 * or be the page of a proxy. Not every documented field is there (OriginalInfo.ETag was missing for years), so no other field
 * is required.
 * @throws MattingError
 */
export function readResult(answer: Answer): string | undefined {
  const result = child(answer.status === 200 ? parse(answer.body) : undefined, 'UploadResult')
  if (!('OriginalInfo' in result) || answer.body.includes('<Error>')) throw paidFailure(answer)
  const { ETag, Etag = ETag } = child(result, 'OriginalInfo')
  return unquote(text(Etag)) || undefined
}

/** @throws MattingError unless it is a PNG with its end: what is bought must be usable */
export function readPng(answer: Answer): Buffer {
  const { status, body } = answer
  if (status !== 200 || !isPng(body) || !body.includes('IEND')) throw paidFailure(answer, ELSEWHERE)
  return body
}

/** Decides by the first bytes. */
export function isPng(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n'
}

/** The error for an answer to a free call that is neither success nor "not there". */
export function failure(answer: Answer): MattingError {
  const { status } = answer
  const code = vendorCode(answer)
  const cause = new MattingError('denied', `${isVendors(answer) ? 'COS' : 'Not COS'} answered ${status} ${code}`.trim())
  if (code === 'NoSuchBucket') return new MattingError('misconfigured', 'There is no such bucket.', { cause })
  const later = !isVendors(answer) || status < 300 || status === 429 || status >= 500
  return new MattingError(later ? 'unavailable' : 'denied', undefined, { cause })
}

/** What the vendor's error codes (product/436/7730) mean as the answer to a paid call. */
const PAID: Readonly<Record<string, Code>> = {
  // The photo was there a moment ago, and may come back.
  NoSuchKey: 'changed',
  InvalidImageFormat: 'not-an-image',
  InvalidImageSource: 'not-an-image',
  ImageTooLarge: 'too-large',
  ImageResolutionExceed: 'too-large',
  EntityTooLarge: 'too-large',
  // About this photo alone, for example its key. Codes about the bucket or the account are `denied`, and so is any code not in
  // this table.
  InvalidArgument: 'refused',
  InvalidRequest: 'refused',
  InvalidURI: 'refused',
  InvalidObjectName: 'refused',
  KeyTooLong: 'refused',
  InvalidPicOperations: 'refused',
  NoSuchBucket: 'misconfigured',
  SlowDown: 'busy',
  // Nothing was done, and the next attempt may have new credentials.
  ExpiredToken: 'unavailable',
  RequestTimeTooSkewed: 'unavailable',
  // The result could not be stored, but the work was done.
  PathConflict: 'unknown-outcome',
}

/** The same for a picture elsewhere: here its host failed, and may not fail the next time. */
const ELSEWHERE: typeof PAID = { ...PAID, InvalidImageSource: 'unavailable' }

/** The error for an answer to a paid call that is no success. */
export function paidFailure(answer: Answer, codes = PAID): MattingError {
  const { status, body } = answer
  const code = vendorCode(answer)
  const cause = new MattingError('denied', `${isVendors(answer) ? 'CI' : 'Not CI'} answered ${status} ${code}`.trim())
  const fail = (code: Code) => new MattingError(code, undefined, { cause })
  // The call may have reached the vendor nevertheless.
  if (!isVendors(answer)) return fail('unknown-outcome')
  const known = Object.hasOwn(codes, code) ? codes[code] : undefined
  // "Busy" inside a 200 comes too late to be sure that nothing was done.
  if (known && !(known === 'busy' && status === 200)) return fail(known)
  if (status === 429) return fail('busy')
  // The signature had ended when the call arrived, so nothing was done. Only <Message> is searched, because the body also holds
  // the photo's key.
  if (status === 403 && /<Message>[^<]*expired/i.test(body.toString())) return fail('unavailable')
  // After a 5xx or an error inside a 200, the work may have been done and billed.
  return fail(status >= 400 && status < 500 ? 'denied' : 'unknown-outcome')
}

function odd(what: string): MattingError {
  const cause = new MattingError('unavailable', `COS answered with ${what}`)
  return new MattingError('unavailable', undefined, { cause })
}

function parse(body: Buffer): unknown {
  // Entities are not expanded: an answer may hold an entity bomb, and no field that is read here needs them.
  parser ??= new XMLParser({ processEntities: false, parseTagValue: false, isArray: (name) => name === 'Contents' })
  try {
    return parser.parse(body)
  } catch {
    return undefined // A page of HTML, or an answer that broke off.
  }
}

function child(parent: unknown, name: string): Record<string, unknown> {
  return Object(Object(parent)[name])
}

function decode(value: unknown): string | undefined {
  try {
    return typeof value === 'string' ? decodeURIComponent(value) : undefined
  } catch {
    return undefined
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** NaN if it is not a number of bytes. */
function count(value: unknown): number {
  return /^\d{1,15}$/.test(text(value)) ? Number(value) : Number.NaN
}

/** NaN if it is not a date. */
function date(value: unknown): number {
  return Date.parse(text(value))
}

function unquote(etag: string): string {
  return etag.replace(/^(W\/)?"|"$|&quot;/g, '')
}
