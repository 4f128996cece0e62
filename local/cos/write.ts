import { type Answer, Refusal, xmlAnswer } from './answer.ts'
import { draftImage, picOperations, processUpload, uploadHeaders } from './matting.ts'
import type { Draft } from './objects.ts'
import { find, precondition } from './read.ts'
import type { CosRequest } from './request.ts'
import { type Call, create, lastModifiedOf, type State, tell } from './state.ts'
import { throttled } from './traffic.ts'
import { typeOf } from './type.ts'

/** COS accepts 5 GiB, which is too much for the disk of a laptop. */
export const MAX_OBJECT_BYTES = 1024 ** 3

/** PUT Object (product/436/7749); with Pic-Operations it is the vendor's "processing upon upload". */
export async function putObject(state: State, call: Call): Promise<Answer> {
  const { request } = call
  // Read before a byte is stored, because a request with invalid rules must leave nothing behind.
  const operations = picOperations(state, request)
  const headers = storedHeaders(request)
  const draft = await receiveBody(state, request, MAX_OBJECT_BYTES)
  const image = operations && draftImage(state, draft)
  const modified = lastModifiedOf(state, call.began)
  const object = { bucket: request.bucket, key: request.key, etag: draft.md5, headers, modified }
  const stored = await create(state, call, draft, object, 'Put', forbidsOverwrite(request))
  if (operations) return processUpload(state, call, stored, image, operations)
  return { status: 200, headers: uploadHeaders(stored) }
}

/** DELETE Object (product/436/7743). It answers 204 even if there is no such object. */
export async function deleteObject(state: State, { request }: Call): Promise<Answer> {
  const stored = state.objects.get(request.bucket, request.key)
  if (stored && state.objects.remove(request.bucket, request.key))
    await tell(state, request, stored, { kind: 'removed', via: 'Delete' })
  return { status: 204 }
}

/** PUT Object - Copy (product/436/10881), within the account. */
export async function copyObject(state: State, call: Call): Promise<Answer> {
  const { request } = call
  const source = find(state, copySource(state, request))
  if (precondition(request.headers, source, 'x-cos-copy-source-')) throw new Refusal('PreconditionFailed')
  const directive = request.headers.get('x-cos-metadata-directive') ?? 'Copy'
  if (!/^(copy|replaced)$/i.test(directive))
    throw new Refusal('InvalidArgument', 'x-cos-metadata-directive is not valid.')
  const replaced = /^replaced$/i.test(directive)
  if (!replaced && source.bucket === request.bucket && source.key === request.key)
    throw new Refusal(
      'InvalidRequest',
      'An object can only be copied to itself with x-cos-metadata-directive: Replaced.',
    )
  const headers = replaced ? storedHeaders(request) : source.headers
  const object = { bucket: request.bucket, key: request.key, etag: source.etag, headers }
  const stored = await create(state, call, state.objects.copy(source), object, 'Copy', forbidsOverwrite(request))
  return xmlAnswer(
    {
      CopyObjectResult: {
        ETag: `"${stored.etag}"`,
        CRC64: stored.crc64,
        LastModified: new Date(stored.modified).toISOString(),
      },
    },
    { 'x-cos-hash-crc64ecma': stored.crc64 },
  )
}

/** The bucket and key in x-cos-copy-source, whether or not there is such an object. */
export function copySource(state: State, { headers }: CosRequest): { bucket: string; key: string } {
  const match = /^\/?(?<bucket>[a-z0-9-]+)\.cos\.(?<region>[a-z0-9-]+)\.myqcloud\.com\/(?<key>[^?]+)$/.exec(
    headers.get('x-cos-copy-source') ?? '',
  )?.groups
  if (!match) throw new Refusal('InvalidArgument', 'x-cos-copy-source is not valid.')
  const bucket = match.bucket ?? ''
  if (state.buckets.get(bucket)?.region !== match.region) throw new Refusal('NoSuchBucket')
  try {
    return { bucket, key: decodeURIComponent(match.key ?? '') }
  } catch {
    throw new Refusal('InvalidArgument', 'x-cos-copy-source is not valid.')
  }
}

/** Receives the body as a draft, and checks it against Content-Length and Content-MD5. */
export async function receiveBody(state: State, request: CosRequest, limit: number): Promise<Draft> {
  const { body, headers } = request
  const length = headers.get('content-length')
  if (length === undefined && headers.get('transfer-encoding') === undefined) throw new Refusal('MissingContentLength')
  if (Number(length ?? 0) > limit) throw new Refusal('EntityTooLarge')
  const md5 = headers.get('content-md5')
  if (md5 !== undefined && !/^[A-Za-z0-9+/]{22}==$/.test(md5)) throw new Refusal('InvalidDigest')
  const source = throttled(state, request, () => body)
  const draft = await state.objects.receive(source, limit)
  if (md5 !== undefined && Buffer.from(md5, 'base64').toString('hex') !== draft.md5) {
    state.objects.discard(draft)
    throw new Refusal('BadDigest')
  }
  return draft
}

/** Reads a body of text, such as XML. */
export async function readBody(state: State, request: CosRequest, limit: number): Promise<string> {
  const draft = await receiveBody(state, request, limit)
  try {
    return state.objects.draftBytes(draft).toString()
  } finally {
    state.objects.discard(draft)
  }
}

export function forbidsOverwrite({ headers }: CosRequest): boolean {
  return headers.get('x-cos-forbid-overwrite')?.toLowerCase() === 'true'
}

const KEPT = ['Content-Type', 'Cache-Control', 'Content-Disposition', 'Content-Encoding', 'Expires']
const MAX_META_BYTES = 2048

/** The headers that an object keeps. Their bytes stay as they came, whether UTF-8 or Latin-1. */
export function storedHeaders({ key, body: { headers } }: CosRequest): Record<string, string> {
  const kept: Record<string, string> = { 'Content-Type': typeOf(key) }
  for (const name of KEPT) {
    const value = headers[name.toLowerCase()]
    if (typeof value === 'string' && value !== '') kept[name] = value
  }
  let metaBytes = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('x-cos-meta-') || typeof value !== 'string') continue
    kept[name] = value
    metaBytes += name.length + value.length
  }
  if (metaBytes > MAX_META_BYTES) throw new Refusal('InvalidArgument', 'The x-cos-meta-* headers exceed 2 KB.')
  return kept
}
