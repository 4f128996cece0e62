import { XMLParser } from 'fast-xml-parser'
import { type Code, MattingError } from './errors.ts'

/** What COS or Cloud Infinite answered, or somebody in between. */
export interface Answer {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** What HEAD tells of an object. `etag` without its quotes, `size` in bytes. */
export interface ObjectHead {
  etag: string
  size: number
  /** When it was stored, by COS's clock; milliseconds since the epoch, whole seconds. */
  modified: number
  /** Content-Type, '' if it has none. */
  type: string
  /** Its own metadata `x-cos-meta-matting`. */
  matting?: string
}

/** A small object, and by COS's own clock when it was written and when it was read; milliseconds since the epoch. */
export interface ObjectRead {
  body: string
  written: number
  read: number
}

/** Some bytes of an object, how many it has in all, and when it was stored; milliseconds since the epoch, by COS's clock. */
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

// Entities stay as they are: an entity bomb in an answer must not be expanded, and what is read here needs none.
const xml = new XMLParser({ processEntities: false, parseTagValue: false, isArray: (name) => name === 'Contents' })

/**
 * Whether an answer is the vendor's own: each has a request id (product/436/7729), and its errors have a form. A captive portal,
 * a proxy or a parked domain answers 200 to whatever it is asked, or 404; its word is not to be taken for "paid", "free" or "gone".
 */
export function isVendors(answer: Answer): boolean {
  return hasId(answer.headers) || (answer.body.includes('<Error>') && vendorCode(answer) !== '')
}

/** The part of `isVendors` that the headers tell. */
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
    return '' // Half an answer: the status has to do.
  }
}

/** @throws MattingError unavailable, unless an answer to HEAD says what there must be */
export function readHead({ headers }: Answer): ObjectHead {
  const { 'content-type': type, 'x-cos-meta-matting': matting } = headers
  const etag = unquote(text(headers.etag))
  const [size, modified] = [count(headers['content-length']), date(headers['last-modified'])]
  // The ETag is what tells one version of a photo from another: without it nothing can be named.
  if (etag.length < 16 || Number.isNaN(size + modified)) throw odd('no ETag, size or date')
  return { etag, size, modified, type: text(type), ...(typeof matting === 'string' && { matting }) }
}

/** @throws MattingError unavailable, unless an answer to GET has its dates: without them no claim would ever end */
export function readObject({ headers, body }: Answer): ObjectRead {
  const [written, read] = [date(headers['last-modified']), date(headers.date)]
  if (Number.isNaN(written + read)) throw odd('no dates')
  return { body: body.toString(), written, read }
}

/** @throws MattingError unavailable, unless an answer to GET holds the bytes from `start` on */
export function readPart({ status, headers, body: bytes }: Answer, start: number): ObjectPart {
  // There are no bytes there, as of an empty object.
  if (status === 416) return { bytes: Buffer.alloc(0), total: 0, modified: 0 }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text(headers['content-range'])) ?? []
  // A server may answer with all of it.
  const [from, to, size] =
    status === 200 ? [0, bytes.length - 1, bytes.length] : [Number(first), Number(last), Number(total)]
  const modified = date(headers['last-modified'])
  const fits = from === start && to - from + 1 === bytes.length && to < size
  if (!fits || Number.isNaN(modified)) throw odd('other bytes than were asked for')
  return { bytes, total: size, modified }
}

/** @throws MattingError unavailable, unless it is a whole page of a list of this prefix: what it leaves out would be paid for again */
export function readPage({ body }: Answer, prefix: string): { objects: Listed[]; more: boolean } {
  const { IsTruncated, EncodingType, Contents = [] } = child(parse(body), 'ListBucketResult')
  // Without them it is no list, half of one, or its keys are not encoded as was asked.
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
 * The ETag of the photo that was cut out, if Cloud Infinite tells it. 200 is no proof: there may be an <Error> in it, or somebody
 * else's page. Not every field that its pages show is there (OriginalInfo.ETag was missing for years), so no other is asked for.
 * @throws MattingError
 */
export function readResult(answer: Answer): string | undefined {
  const result = child(answer.status === 200 ? parse(answer.body) : undefined, 'UploadResult')
  if (!('OriginalInfo' in result) || answer.body.includes('<Error>')) throw paidFailure(answer)
  const { ETag, Etag = ETag } = child(result, 'OriginalInfo')
  return unquote(text(Etag)) || undefined
}

/** @throws MattingError unless it is a PNG, and one that has its end: what is bought must be of use */
export function readPng(answer: Answer): Buffer {
  const { status, body } = answer
  if (status !== 200 || !isPng(body) || !body.includes('IEND')) throw paidFailure(answer, ELSEWHERE)
  return body
}

/** By its first bytes. */
export function isPng(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n'
}

/** What a free call's answer means that is neither success nor "not there". */
export function failure(answer: Answer): MattingError {
  const { status } = answer
  const code = vendorCode(answer)
  const cause = new MattingError('denied', `${isVendors(answer) ? 'COS' : 'Not COS'} answered ${status} ${code}`.trim())
  if (code === 'NoSuchBucket') return new MattingError('misconfigured', 'There is no such bucket.', { cause })
  const later = !isVendors(answer) || status < 300 || status === 429 || status >= 500
  return new MattingError(later ? 'unavailable' : 'denied', undefined, { cause })
}

/** The vendor's codes (product/436/7730) that tell what became of a paid call. */
const PAID: Readonly<Record<string, Code>> = {
  // It was there a moment ago, and may be again.
  NoSuchKey: 'changed',
  InvalidImageFormat: 'not-an-image',
  InvalidImageSource: 'not-an-image',
  ImageTooLarge: 'too-large',
  ImageResolutionExceed: 'too-large',
  EntityTooLarge: 'too-large',
  // Something about this very photo, such as its key. What concerns the bucket or the account is `denied`, with any code not known here.
  InvalidArgument: 'refused',
  InvalidRequest: 'refused',
  InvalidURI: 'refused',
  InvalidObjectName: 'refused',
  KeyTooLong: 'refused',
  InvalidPicOperations: 'refused',
  NoSuchBucket: 'misconfigured',
  SlowDown: 'busy',
  // Nothing was done, and the next try may have new credentials.
  ExpiredToken: 'unavailable',
  RequestTimeTooSkewed: 'unavailable',
  // Of a result that could not be stored, after the work.
  PathConflict: 'unknown-outcome',
}

/** The same of a picture elsewhere: its host failed, and may not the next time. */
const ELSEWHERE: typeof PAID = { ...PAID, InvalidImageSource: 'unavailable' }

/** What a paid call's answer means that is no success. */
export function paidFailure(answer: Answer, codes = PAID): MattingError {
  const { status, body } = answer
  const code = vendorCode(answer)
  const cause = new MattingError('denied', `${isVendors(answer) ? 'CI' : 'Not CI'} answered ${status} ${code}`.trim())
  const fail = (code: Code) => new MattingError(code, undefined, { cause })
  // The call may have got through all the same.
  if (!isVendors(answer)) return fail('unknown-outcome')
  const known = Object.hasOwn(codes, code) ? codes[code] : undefined
  // In a 200, "later" comes too late to be sure that nothing was done.
  if (known && !(known === 'busy' && status === 200)) return fail(known)
  if (status === 429) return fail('busy')
  // Its signature had ended when it arrived: nothing was done. Not anywhere in the body: that holds the photo's key as well.
  if (status === 403 && /<Message>[^<]*expired/i.test(body.toString())) return fail('unavailable')
  // After a 5xx, or an error inside a 200, the work may have been done and billed.
  return fail(status >= 400 && status < 500 ? 'denied' : 'unknown-outcome')
}

function odd(what: string): MattingError {
  const cause = new MattingError('unavailable', `COS answered with ${what}`)
  return new MattingError('unavailable', undefined, { cause })
}

function parse(body: Buffer): unknown {
  try {
    return xml.parse(body)
  } catch {
    return undefined // A page of HTML, or half an answer.
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

/** NaN if it is no number of bytes. */
function count(value: unknown): number {
  return /^\d{1,15}$/.test(text(value)) ? Number(value) : Number.NaN
}

/** NaN if it is no date. */
function date(value: unknown): number {
  return Date.parse(text(value))
}

function unquote(etag: string): string {
  return etag.replace(/^(W\/)?"|"$|&quot;/g, '')
}
