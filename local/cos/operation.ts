import { LAYOUT_PARAMETERS } from '../layout.ts'
import { bind, bindingStatus, closeAi, headBucket, listAi, openAi, putBucket, unbind } from './activation.ts'
import { type Answer, Refusal } from './answer.ts'
import type { Call, Cloud } from './cloud.ts'
import { downloadMatting, imageProcess } from './matting.ts'
import { abort, complete, initiate, listParts, listUploads, uploadPart } from './multipart.ts'
import type { Need } from './policy.ts'
import { getBucket, getObject, headObject } from './read.ts'
import type { CosRequest } from './request.ts'
import { notImplemented, readPicOperations } from './rules.ts'
import { deleteStrict, getStrict, putStrict } from './strict.ts'
import { copyObject, copySource, deleteObject, putObject } from './write.ts'

interface Operation {
  at: 'object' | 'bucket' | 'pic' | 'ci'
  method: string
  name: string
  run(cloud: Cloud, call: Call): Promise<Answer>
  /** The query parameter that makes it this operation. */
  by?: string
  /** The header that makes it this operation. */
  header?: string
  /** Further query parameters it understands. */
  uses?: string[]
  /** What it does to the key of its path, as policies name it; default: its own name. Paid calls need one more. */
  actions?: string[]
}

const LAYOUT = ['detect-url', ...LAYOUT_PARAMETERS]
const LISTING = ['prefix', 'delimiter', 'encoding-type']

/** The first that fits is it. */
const OPERATIONS: readonly Operation[] = [
  {
    at: 'object',
    method: 'GET',
    name: 'GoodsMatting',
    by: 'ci-process',
    run: downloadMatting,
    uses: LAYOUT,
    actions: ['cos:GetObject'],
  },
  {
    at: 'object',
    method: 'GET',
    name: 'ListParts',
    by: 'uploadId',
    run: listParts,
    uses: ['max-parts', 'part-number-marker', 'encoding-type'],
  },
  { at: 'object', method: 'GET', name: 'GetObject', run: getObject, uses: ['x-cos-traffic-limit'] },
  { at: 'object', method: 'HEAD', name: 'HeadObject', run: headObject },
  {
    at: 'object',
    method: 'PUT',
    name: 'UploadPart',
    by: 'uploadId',
    run: uploadPart,
    uses: ['partNumber', 'x-cos-traffic-limit'],
  },
  {
    at: 'object',
    method: 'PUT',
    name: 'CopyObject',
    header: 'x-cos-copy-source',
    run: copyObject,
    actions: ['cos:PutObject'],
  },
  { at: 'object', method: 'PUT', name: 'PutObject', run: putObject, uses: ['x-cos-traffic-limit'] },
  {
    at: 'object',
    method: 'POST',
    name: 'ImageProcess',
    by: 'image_process',
    run: imageProcess,
    actions: ['cos:GetObject'],
  },
  { at: 'object', method: 'POST', name: 'InitiateMultipartUpload', by: 'uploads', run: initiate },
  { at: 'object', method: 'POST', name: 'CompleteMultipartUpload', by: 'uploadId', run: complete },
  { at: 'object', method: 'DELETE', name: 'AbortMultipartUpload', by: 'uploadId', run: abort },
  { at: 'object', method: 'DELETE', name: 'DeleteObject', run: deleteObject },
  {
    at: 'bucket',
    method: 'GET',
    name: 'GoodsMatting',
    by: 'ci-process',
    run: downloadMatting,
    uses: LAYOUT,
    actions: [],
  },
  {
    at: 'bucket',
    method: 'GET',
    name: 'ListMultipartUploads',
    by: 'uploads',
    run: listUploads,
    uses: [...LISTING, 'key-marker', 'upload-id-marker', 'max-uploads'],
  },
  { at: 'bucket', method: 'GET', name: 'GetBucketStrictSignature', by: 'strict-signature', run: getStrict },
  { at: 'bucket', method: 'GET', name: 'GetBucket', run: getBucket, uses: [...LISTING, 'marker', 'max-keys'] },
  { at: 'bucket', method: 'HEAD', name: 'HeadBucket', run: headBucket },
  { at: 'bucket', method: 'PUT', name: 'PutBucketStrictSignature', by: 'strict-signature', run: putStrict },
  { at: 'bucket', method: 'PUT', name: 'PutBucket', run: putBucket },
  { at: 'bucket', method: 'DELETE', name: 'DeleteBucketStrictSignature', by: 'strict-signature', run: deleteStrict },
  { at: 'pic', method: 'GET', name: 'GoodsMatting', by: 'ci-process', run: downloadMatting, uses: LAYOUT, actions: [] },
  { at: 'pic', method: 'PUT', name: 'DeleteCIBucket', by: 'unbind', run: unbind },
  { at: 'pic', method: 'PUT', name: 'CreateCIBucket', run: bind },
  { at: 'pic', method: 'GET', name: 'GetCIBucket', run: bindingStatus },
  { at: 'ci', method: 'POST', name: 'CreateAIBucket', run: openAi },
  { at: 'ci', method: 'DELETE', name: 'DeleteAIBucket', run: closeAi },
  {
    at: 'ci',
    method: 'GET',
    name: 'DescribeAIBuckets',
    run: listAi,
    uses: ['regions', 'bucketNames', 'bucketName', 'pageNumber', 'pageSize'],
  },
]

export function operationOf(request: CosRequest): Operation | undefined {
  if (request.door === 'ci' && request.path !== '/ai_bucket') return undefined
  const at = request.door === 'ci' ? 'ci' : request.key !== '' ? 'object' : request.door === 'pic' ? 'pic' : 'bucket'
  return OPERATIONS.find(
    ({ at: place, method, by, header }) =>
      place === at &&
      method === request.method &&
      (by === undefined || request.query.has(by)) &&
      (header === undefined || request.headers.has(header)),
  )
}

const TAKE_RULES = ['PutObject', 'ImageProcess', 'CompleteMultipartUpload']

/** Whether it is, or holds, a GoodsMatting call. */
export function isPaid(operation: Operation | undefined, request: CosRequest): boolean {
  if (operation?.name === 'GoodsMatting') return true
  return TAKE_RULES.includes(operation?.name ?? '') && Boolean(request.headers.get('pic-operations'))
}

/** What a request does to the key of its path, as policies name it. */
export function actionsOf(operation: Operation, request: CosRequest): string[] {
  const { at, name, actions = [`${at === 'pic' || at === 'ci' ? 'ci' : 'cos'}:${name}`] } = operation
  return isPaid(operation, request) ? [...actions, 'ci:CreateGoodsMattingJob'] : actions
}

/** What a key must be allowed for a request; one by one, so that rules are not read for one who may not store the source. */
export function* needsOf(cloud: Cloud, operation: Operation, request: CosRequest): Generator<Need> {
  const { bucket } = request
  // Operations on a bucket's settings are on the bucket, whatever their path is.
  const key = operation.at === 'ci' ? '' : request.key
  for (const action of actionsOf(operation, request)) yield { action, bucket, key }
  if (operation.name === 'CopyObject') yield { action: 'cos:GetObject', ...copySource(cloud, request) }
  if (!TAKE_RULES.includes(operation.name)) return
  for (const rule of readPicOperations(cloud, request)?.rules ?? [])
    yield { action: 'cos:PutObject', bucket: rule.bucket, key: rule.key }
}

/** Parameters with a value that would change what is done; those without one, and styles with slashes, all would. */
const MEANINGFUL = ['ci-process', 'image_process', 'partNumber', 'uploadId', 'versionId']

/**
 * Headers that make COS do what is not done here: of PUT Object (product/436/7749), of copying, of the upload's ReturnBody and
 * Callback (product/436/97529, product/436/106770), and limits of its SDKs. COS ignores all others, and so does this.
 */
const MEANINGFUL_HEADERS =
  /^x-cos-(?:acl|callback.*|content-sha1|copy-source.*|forbid-overwrite|fsize-.*|grant-.*|metadata-directive|mfa|mime-limit|object-.*|process|rename-source|return-body|server-side-encryption.*|storage-class|symlink.*|tagging.*)$/

/** Save for these values, which say what is so anyway, or are done. */
const HEADERS: Record<string, RegExp> = {
  'x-cos-acl': /^(private|default|)$/,
  'x-cos-forbid-overwrite': /^(true|false)$/i,
  'x-cos-storage-class': /^(STANDARD|)$/,
}

/**
 * Refuses, by name, what would otherwise be silently ignored. A parameter with a value that means nothing to COS is
 * ignored, as there.
 */
export function refuseUnknown(operation: Operation | undefined, request: CosRequest): asserts operation {
  const { method, query, headers, door, path } = request
  if (door === 'ci' && path !== '/ai_bucket') {
    // So it is reported of the vendor's.
    if (query.has('ci-process')) throw new Refusal('InvalidUrl')
    throw notImplemented(`${method} ${path}`)
  }
  const understood = new Set([operation?.by, ...(operation?.uses ?? []), 'x-cos-security-token'])
  for (const [name, value] of query) {
    if (understood.has(name) || name.startsWith('q-') || name.startsWith('response-')) continue
    if (MEANINGFUL_HEADERS.test(name)) throw notImplemented(`${method} ?${name}`)
    if (value === '' || /^[\w-]+\//.test(name) || MEANINGFUL.includes(name)) throw notImplemented(`${method} ?${name}`)
  }
  if (!['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].includes(method)) throw new Refusal('MethodNotAllowed')
  if (!operation) throw notImplemented(request.key === '' ? `${method} Bucket` : `${method} Object`)
  const process = query.get('ci-process')
  if (process !== undefined && process !== 'GoodsMatting') throw notImplemented(`ci-process=${process}`)
  for (const [name, value] of headers) {
    if (!MEANINGFUL_HEADERS.test(name)) continue
    if (operation.name === 'CopyObject' && /^x-cos-(copy-source|metadata-directive)/.test(name)) continue
    if (!HEADERS[name]?.test(value)) throw notImplemented(`the header ${name}${HEADERS[name] ? `: ${value}` : ''}`)
  }
}
