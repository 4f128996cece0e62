import { type Answer, encodeKey, Refusal, xmlAnswer } from './answer.ts'
import { compareKeys, type Stored } from './objects.ts'
import type { CosRequest } from './request.ts'
import type { Call, State } from './state.ts'
import { throttled } from './traffic.ts'

/** GET Object (product/436/7753). */
export async function getObject(state: State, { request }: Call): Promise<Answer> {
  const stored = find(state, request)
  const unmet = precondition(request.headers, stored)
  if (unmet) return unmet
  const headers = { ...objectHeaders(stored), ...overrides(request) }
  const range = readRange(request.headers.get('range'), stored.size)
  const body = throttled(state, request, () => state.objects.stream(stored, range))
  if (!range) return { status: 200, headers, body }
  const { start, end } = range
  return {
    status: 206,
    headers: {
      ...headers,
      'Content-Length': `${end - start + 1}`,
      'Content-Range': `bytes ${start}-${end}/${stored.size}`,
    },
    body,
  }
}

/** HEAD Object (product/436/7745). */
export async function headObject(state: State, { request }: Call): Promise<Answer> {
  const stored = find(state, request)
  return precondition(request.headers, stored) ?? { status: 200, headers: objectHeaders(stored) }
}

/** @throws Refusal NoSuchKey */
export function find(state: State, { bucket, key }: { bucket: string; key: string }): Stored {
  const stored = state.objects.get(bucket, key)
  if (!stored) throw new Refusal('NoSuchKey')
  return stored
}

function objectHeaders(stored: Stored): Record<string, string> {
  return {
    ...stored.headers,
    'Content-Length': `${stored.size}`,
    ETag: `"${stored.etag}"`,
    'Last-Modified': new Date(stored.modified).toUTCString(),
    'Accept-Ranges': 'bytes',
    'x-cos-hash-crc64ecma': stored.crc64,
  }
}

const OVERRIDES = {
  'response-content-type': 'Content-Type',
  'response-content-language': 'Content-Language',
  'response-expires': 'Expires',
  'response-cache-control': 'Cache-Control',
  'response-content-disposition': 'Content-Disposition',
  'response-content-encoding': 'Content-Encoding',
}

/** What a request wants the headers of its answer to be. */
export function overrides({ query }: CosRequest): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [param, header] of Object.entries(OVERRIDES)) {
    const value = query.get(param)
    if (value === undefined) continue
    // Node throws for characters that a header cannot hold, and then the answer would break off.
    if (!/^[\t\x20-\x7e\x80-\uffff]*$/.test(value)) throw new Refusal('InvalidArgument', `${param} is not valid.`)
    headers[header] = Buffer.from(value).toString('latin1')
  }
  return headers
}

/**
 * Checks the conditions of a request in the order of RFC 9110 §13.2.2.
 * @returns the answer 304 if the client's copy is current; otherwise undefined
 * @throws Refusal PreconditionFailed
 */
export function precondition(headers: ReadonlyMap<string, string>, stored: Stored, prefix = ''): Answer | undefined {
  const field = (name: string) => headers.get(prefix + name)
  const time = (name: string) => Date.parse(field(name) ?? '')
  // HTTP dates have only whole seconds.
  const modified = Math.floor(stored.modified / 1000) * 1000
  const match = field('if-match')
  const noneMatch = field('if-none-match')
  if (match !== undefined ? !names(match, stored.etag) : modified > time('if-unmodified-since'))
    throw new Refusal('PreconditionFailed')
  if (noneMatch !== undefined ? !names(noneMatch, stored.etag) : !(modified <= time('if-modified-since')))
    return undefined
  const { 'Content-Length': _, ...rest } = objectHeaders(stored)
  return { status: 304, headers: rest }
}

/** Whether a list of ETags names this one. */
function names(list: string, etag: string): boolean {
  return list.split(',').some((item) => {
    const name = item.trim()
    return name === '*' || name.replace(/^W\//, '').replace(/^"(.*)"$/, '$1') === etag
  })
}

/** Reads a single range. Several ranges and malformed ones are ignored, as RFC 9110 §14.2 allows. */
function readRange(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? '')
  const [first, last] = [match?.[1] ?? '', match?.[2] ?? '']
  if (first === '' && last === '') return undefined
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (start >= size) throw new Refusal('InvalidRange', undefined, {}, { 'Content-Range': `bytes */${size}` })
  return { start, end }
}

const MAX_KEYS = 1000

/** GET Bucket (product/436/7734). */
export async function getBucket(state: State, { request: { bucket, query } }: Call): Promise<Answer> {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const marker = query.get('marker') ?? ''
  const maxKeys = readMax(query.get('max-keys'))
  const text = readEncoding(query)
  const start = compareKeys(prefix, marker) > 0 ? prefix : marker
  const wanted = { prefix, delimiter, marker, max: maxKeys }
  const page = listPage(state.objects.from(bucket, start), ({ key }) => key, wanted)
  return xmlAnswer({
    ListBucketResult: {
      Name: bucket,
      ...(query.has('encoding-type') && { EncodingType: 'url' }),
      Prefix: text(prefix),
      Marker: text(marker),
      MaxKeys: maxKeys,
      ...(delimiter !== '' && { Delimiter: text(delimiter) }),
      IsTruncated: page.next !== undefined,
      ...(page.next !== undefined && { NextMarker: text(page.next) }),
      Contents: page.items.map(({ key, modified, etag, size }) => ({
        Key: text(key),
        LastModified: new Date(modified).toISOString(),
        ETag: `"${etag}"`,
        Size: size,
        StorageClass: 'STANDARD',
      })),
      CommonPrefixes: page.prefixes.map((common) => ({ Prefix: text(common) })),
    },
  })
}

/** Reads how many entries a page may have. */
export function readMax(value: string | undefined): number {
  return value ? Math.min(readCount(value), MAX_KEYS) : MAX_KEYS
}

export function readCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new Refusal('InvalidArgument', 'A number in the query is not valid.')
  return Number(value)
}

/** Reads encoding-type. @returns how keys are written in the listing */
export function readEncoding(query: ReadonlyMap<string, string>): (text: string) => string {
  const type = query.get('encoding-type')
  if (type !== undefined && type !== 'url') throw new Refusal('InvalidArgument', 'encoding-type is not valid.')
  return type === 'url' ? encodeKey : (text) => text
}

/** A page of what is sorted by its keys. Keys that are the same up to the delimiter become one common prefix. */
export function listPage<T>(
  sorted: Iterable<T>,
  keyOf: (item: T) => string,
  { prefix, delimiter, marker, max }: { prefix: string; delimiter: string; marker: string; max: number },
): { items: T[]; prefixes: string[]; next: string | undefined } {
  const items: T[] = []
  const prefixes: string[] = []
  let last = ''
  for (const item of sorted) {
    const key = keyOf(item)
    if (compareKeys(key, prefix) < 0) continue
    if (!key.startsWith(prefix)) break
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    // A marker that is a common prefix covers all of its keys: the previous page ended with it.
    if (marker !== '' && (common === marker || compareKeys(key, marker) <= 0)) continue
    if (common !== undefined && common === prefixes.at(-1)) continue
    if (items.length + prefixes.length >= max) return { items, prefixes, next: max === 0 ? undefined : last }
    last = common ?? key
    if (common === undefined) items.push(item)
    else prefixes.push(common)
  }
  return { items, prefixes, next: undefined }
}
