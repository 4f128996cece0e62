import { createHash, randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { XMLBuilder } from 'fast-xml-parser'

export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string | Buffer | Readable
}

/**
 * Every refusal of the local COS: code → status and message. Codes and statuses are those of "Error Codes" (product/436/7730),
 * except for the last two, which that page does not list.
 */
const REFUSALS = {
  BadDigest: [400, 'The Content-MD5 you specified did not match what we received.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed object size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed object size.'],
  ExpiredToken: [400, 'The provided token has expired.'],
  ImageResolutionExceed: [400, 'The resolution of the image exceeds the limit.'],
  ImageTooLarge: [400, 'The image exceeds the size limit.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header.'],
  InvalidArgument: [400, 'Invalid argument.'],
  InvalidDigest: [400, 'The Content-MD5 you specified is not valid.'],
  InvalidImageFormat: [400, 'The image format is not supported.'],
  InvalidImageSource: [400, 'The image could not be fetched.'],
  InvalidPart: [400, 'One or more of the specified parts could not be found.'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order.'],
  InvalidPicOperations: [400, 'The Pic-Operations header is not valid.'],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidURI: [400, 'Could not parse the specified URI.'],
  KeyTooLong: [400, 'Your key is too long.'],
  MalformedXML: [400, 'The XML you provided was not well-formed or did not validate against our published schema.'],
  InvalidObjectName: [400, 'The name of the object is not valid.'],
  PaymentRequired: [402, 'Your account is in arrears.'],
  AccessDenied: [403, 'Access Denied.'],
  AccessForbidden: [403, 'CORSResponse: This CORS request is not allowed.'],
  InvalidAccessKeyId: [403, 'The Access Key Id you provided does not exist in our records.'],
  InvalidObjectState: [403, 'The operation is not valid for the state of the object.'],
  NoProcessAuthority: [403, 'No authority to process images in this bucket.'],
  RequestTimeTooSkewed: [
    403,
    'The difference between the request time and the current time is too large: check the clock.',
  ],
  SignatureDoesNotMatch: [403, 'The Signature you specified is invalid.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchCORSConfiguration: [404, 'The CORS Configuration does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  BucketAlreadyOwnedByYou: [409, 'The bucket you tried to create already exists, and you own it.'],
  PathConflict: [409, 'Objects of the same name are written at the same moment.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  PreconditionFailed: [412, 'At least one of the preconditions you specified did not hold.'],
  InvalidRange: [416, 'The requested range is not satisfiable.'],
  UnavailableForLegalReasons: [451, 'The content is not available for legal reasons.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  NotImplemented: [501, 'The local cloud does not implement this.'],
  ServiceUnavailable: [503, 'The service is not available.'],
  SlowDown: [503, 'Please reduce your request rate.'],

  // From the documentation of x-cos-forbid-overwrite and from field reports.
  FileAlreadyExists: [409, 'The object already exists and must not be overwritten.'],
  // The answer of the `.ci.` host to a path that it does not know, from field reports.
  InvalidUrl: [404, 'The specified URL is not valid.'],
} as const satisfies Record<string, readonly [number, string]>

export type RefusalCode = keyof typeof REFUSALS

export function isRefusalCode(code: unknown): code is RefusalCode {
  return typeof code === 'string' && Object.hasOwn(REFUSALS, code)
}

/** Thrown to refuse a request. It becomes the vendor's error document. */
export class Refusal extends Error {
  readonly code: RefusalCode
  readonly status: number
  /** Further elements of the document, written in this order after Message. */
  readonly details: Record<string, string>
  readonly headers: Record<string, string>

  constructor(
    code: RefusalCode,
    message?: string,
    details: Record<string, string> = {},
    headers: Record<string, string> = {},
  ) {
    super(message ?? REFUSALS[code][1])
    this.name = 'Refusal'
    this.code = code
    this.status = REFUSALS[code][0]
    this.details = details
    this.headers = headers
  }
}

/** What is left out is refused by its name. */
export function notImplemented(what: string): Refusal {
  return new Refusal('NotImplemented', `The local cloud does not implement ${what}.`)
}

// XML 1.0 §2.2 cannot express these characters, not even by a reference. Clients list such keys with encoding-type=url.
const NOT_XML = /(?![\t\n\r\x7f-\x9f])[\p{Cc}\ufffe\uffff]/gu

const builder = new XMLBuilder({
  format: true,
  indentBy: '\t',
  tagValueProcessor: (_name, value) => String(value).replace(NOT_XML, '\ufffd'),
})

/** The vendor writes its prolog with single quotes, and the builder has no option for that. */
export const PROLOG = "<?xml version='1.0' encoding='utf-8' ?>\n"

/** The XML text of a tree. `null` becomes an empty element, an array a repeated one. */
export function xml(tree: object): string {
  return builder.build(tree)
}

/** An answer with an XML document, including the prolog. */
export function xmlAnswer(tree: object, headers: Record<string, string> = {}): Answer {
  return { status: 200, headers: { 'Content-Type': 'application/xml', ...headers }, body: PROLOG + xml(tree) }
}

/** The vendor's error document (product/436/7730). `resource` is the path as sent; it must not hold secrets. */
export function refusalAnswer(refusal: Refusal, resource: string, requestId: string): Answer {
  const { code, status, message, details, headers } = refusal
  const traceId = createHash('sha256').update(requestId).digest('base64')
  const tree = {
    Error: { Code: code, Message: message, ...details, Resource: resource, RequestId: requestId, TraceId: traceId },
  }
  return { ...xmlAnswer(tree, headers), status }
}

/** The vendor's request ids are base64 of `<time>_<host>_<thread>_<count>` in hex. */
export function newRequestId(now: number): string {
  const time = Math.floor(now / 1000).toString(16)
  return Buffer.from(
    `${time}_${randomBytes(4).toString('hex')}_${randomBytes(2).toString('hex')}_${randomBytes(3).toString('hex')}`,
  ).toString('base64')
}

/** Percent-encodes as COS does: like encodeURIComponent, and also `!'()*` (product/436/7778). */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A key as it is written in the path of a URL. */
export function encodeKey(key: string): string {
  return key.split('/').map(encode).join('/')
}
