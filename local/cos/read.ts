import { type Answer, encodeKey, Refusal, xmlAnswer } from './answer.ts'
import type { Call, Cloud } from './cloud.ts'
import type { Stored } from './objects.ts'
import type { CosRequest } from './request.ts'
import { throttled } from './traffic.ts'

/** GET Object (product/436/7753). */
export async function getObject(cloud: Cloud, { request }: Call): Promise<Answer> {
  const stored = find(cloud, request)
  const unmet = precondition(request.headers, stored)
  if (unmet) return unmet
  const headers = { ...objectHeaders(stored), ...overrides(request) }
  const range = readRange(request.headers.get('range'), stored.size)
  const body = throttled(cloud, request, () => cloud.objects.stream(stored, range))
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
export async function headObject(cloud: Cloud, { request }: Call): Promise<Answer> {
  const stored = find(cloud, request)
  return precondition(request.headers, stored) ?? { status: 200, headers: objectHeaders(stored) }
}

/** @throws Refusal NoSuchKey */
export function find(cloud: Cloud, { bucket, key }: { bucket: string; key: string }): Stored {
  const stored = cloud.objects.get(bucket, key)
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

function overrides({ query }: CosRequest): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [param, header] of Object.entries(OVERRIDES)) {
    const value = query.get(param)
    if (value === undefined) continue
    // Bytes that HTTP has no way to send would break the answer half-way.
    if (!/^[\t\x20-\x7e\x80-\uffff]*$/.test(value)) throw new Refusal('InvalidArgument', `${param} is not valid.`)
    headers[header] = Buffer.from(value).toString('latin1')
  }
  return headers
}

/**
 * The 304 of a request whose conditions do not hold, in the order of RFC 9110 §13.2.2.
 * @throws Refusal PreconditionFailed
 */
export function precondition(headers: ReadonlyMap<string, string>, stored: Stored, prefix = ''): Answer | undefined {
  const field = (name: string) => headers.get(prefix + name)
  const time = (name: string) => Date.parse(field(name) ?? '')
  // HTTP dates have whole seconds.
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

function names(list: string, etag: string): boolean {
  return list.split(',').some((item) => {
    const name = item.trim()
    return name === '*' || name.replace(/^W\//, '').replace(/^"(.*)"$/, '$1') === etag
  })
}

/** One range; several, or what is none, are ignored as RFC 9110 §14.2 allows. */
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
export async function getBucket(cloud: Cloud, { request: { bucket, query } }: Call): Promise<Answer> {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const marker = query.get('marker') ?? ''
  const maxKeys = readMax(query.get('max-keys'))
  const text = readEncoding(query)
  const page = listPage(cloud.objects.sorted(bucket), ({ key }) => key, { prefix, delimiter, marker, max: maxKeys })
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

/** How many entries a page may have. */
export function readMax(value: string | undefined): number {
  return value ? Math.min(readCount(value), MAX_KEYS) : MAX_KEYS
}

export function readCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new Refusal('InvalidArgument', 'A number in the query is not valid.')
  return Number(value)
}

/** How keys are written in a listing. */
export function readEncoding(query: ReadonlyMap<string, string>): (text: string) => string {
  const type = query.get('encoding-type')
  if (type !== undefined && type !== 'url') throw new Refusal('InvalidArgument', 'encoding-type is not valid.')
  return type === 'url' ? encodeKey : (text) => text
}

/** A page of a sorted list, with keys that share what comes before the delimiter rolled into one entry. */
export function listPage<T>(
  sorted: readonly T[],
  keyOf: (item: T) => string,
  { prefix, delimiter, marker, max }: { prefix: string; delimiter: string; marker: string; max: number },
): { items: T[]; prefixes: string[]; next: string | undefined } {
  const from = Buffer.from(marker)
  const items: T[] = []
  const prefixes: string[] = []
  let last = ''
  for (const item of sorted) {
    const key = keyOf(item)
    if (!key.startsWith(prefix)) continue
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    // A page that ended with a rolled-up entry has its name as marker: all of its keys were told of.
    if (marker !== '' && (common === marker || Buffer.compare(Buffer.from(key), from) <= 0)) continue
    if (common !== undefined && common === prefixes.at(-1)) continue
    if (items.length + prefixes.length >= max) return { items, prefixes, next: max === 0 ? undefined : last }
    last = common ?? key
    if (common === undefined) items.push(item)
    else prefixes.push(common)
  }
  return { items, prefixes, next: undefined }
}
