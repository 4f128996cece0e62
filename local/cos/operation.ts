import { LAYOUT_PARAMETERS } from '../layout.ts'
import { bind, bindingStatus, closeAi, headBucket, listAi, openAi, putBucket, unbind } from './activation.ts'
import { type Answer, notImplemented, Refusal } from './answer.ts'
import { downloadMatting, imageProcess } from './matting.ts'
import { abort, complete, initiate, listParts, listUploads, uploadPart } from './multipart.ts'
import type { Need } from './policy.ts'
import { isProcessingParameter, processedObject } from './process.ts'
import { getBucket, getObject, headObject } from './read.ts'
import type { CosRequest } from './request.ts'
import { isUnpaid, readPicOperations } from './rules.ts'
import {
  deleteCors,
  deleteLifecycle,
  getCors,
  getLifecycle,
  getVersioning,
  putCors,
  putLifecycle,
  putVersioning,
} from './settings.ts'
import type { Call, State } from './state.ts'
import { deleteStrict, getStrict, putStrict } from './strict.ts'
import { copyObject, copySource, deleteObject, putObject } from './write.ts'

interface Operation {
  at: 'object' | 'bucket' | 'pic' | 'ci'
  method: string
  name: string
  run(state: State, call: Call): Promise<Answer>
  /** The query parameter that makes it this operation, or whether one does. */
  param?: string | ((name: string, value: string) => boolean)
  /** The header that makes it this operation. */
  header?: string
  /** Further query parameters it understands. */
  uses?: string[]
  /**
   * The actions on the object of its path, as policies name them; default the operation's own name. Paid calls need one more.
   */
  actions?: string[]
}

/** Method one, which is the same at an object, a bucket and the `.pic.` host. */
const MATTING = {
  method: 'GET',
  name: 'GoodsMatting',
  param: 'ci-process',
  run: downloadMatting,
  uses: ['detect-url', ...LAYOUT_PARAMETERS],
}
const LISTING = ['prefix', 'delimiter', 'encoding-type']

/** The first operation that fits a request is the one that it asks for. */
const OPERATIONS: readonly Operation[] = [
  { ...MATTING, at: 'object', actions: ['cos:GetObject'] },
  {
    at: 'object',
    method: 'GET',
    name: 'ListParts',
    param: 'uploadId',
    run: listParts,
    uses: ['max-parts', 'part-number-marker', 'encoding-type'],
  },
  {
    at: 'object',
    method: 'GET',
    name: 'BasicImageProcessing',
    param: isProcessingParameter,
    run: processedObject,
    actions: ['cos:GetObject'],
  },
  {
    at: 'object',
    method: 'HEAD',
    name: 'BasicImageProcessing',
    param: isProcessingParameter,
    run: processedObject,
    actions: ['cos:HeadObject'],
  },
  { at: 'object', method: 'GET', name: 'GetObject', run: getObject, uses: ['x-cos-traffic-limit'] },
  { at: 'object', method: 'HEAD', name: 'HeadObject', run: headObject },
  {
    at: 'object',
    method: 'PUT',
    name: 'UploadPart',
    param: 'uploadId',
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
    param: 'image_process',
    run: imageProcess,
    actions: ['cos:GetObject'],
  },
  { at: 'object', method: 'POST', name: 'InitiateMultipartUpload', param: 'uploads', run: initiate },
  { at: 'object', method: 'POST', name: 'CompleteMultipartUpload', param: 'uploadId', run: complete },
  { at: 'object', method: 'DELETE', name: 'AbortMultipartUpload', param: 'uploadId', run: abort },
  { at: 'object', method: 'DELETE', name: 'DeleteObject', run: deleteObject },
  { ...MATTING, at: 'bucket', actions: [] },
  {
    at: 'bucket',
    method: 'GET',
    name: 'ListMultipartUploads',
    param: 'uploads',
    run: listUploads,
    uses: [...LISTING, 'key-marker', 'upload-id-marker', 'max-uploads'],
  },
  { at: 'bucket', method: 'GET', name: 'GetBucketStrictSignature', param: 'strict-signature', run: getStrict },
  { at: 'bucket', method: 'GET', name: 'GetBucketCORS', param: 'cors', run: getCors },
  { at: 'bucket', method: 'GET', name: 'GetBucketLifecycle', param: 'lifecycle', run: getLifecycle },
  { at: 'bucket', method: 'GET', name: 'GetBucketVersioning', param: 'versioning', run: getVersioning },
  { at: 'bucket', method: 'GET', name: 'GetBucket', run: getBucket, uses: [...LISTING, 'marker', 'max-keys'] },
  { at: 'bucket', method: 'HEAD', name: 'HeadBucket', run: headBucket },
  { at: 'bucket', method: 'PUT', name: 'PutBucketStrictSignature', param: 'strict-signature', run: putStrict },
  { at: 'bucket', method: 'PUT', name: 'PutBucketCORS', param: 'cors', run: putCors },
  { at: 'bucket', method: 'PUT', name: 'PutBucketLifecycle', param: 'lifecycle', run: putLifecycle },
  { at: 'bucket', method: 'PUT', name: 'PutBucketVersioning', param: 'versioning', run: putVersioning },
  { at: 'bucket', method: 'PUT', name: 'PutBucket', run: putBucket },
  { at: 'bucket', method: 'DELETE', name: 'DeleteBucketStrictSignature', param: 'strict-signature', run: deleteStrict },
  { at: 'bucket', method: 'DELETE', name: 'DeleteBucketCORS', param: 'cors', run: deleteCors },
  { at: 'bucket', method: 'DELETE', name: 'DeleteBucketLifecycle', param: 'lifecycle', run: deleteLifecycle },
  { ...MATTING, at: 'pic', actions: [] },
  { at: 'pic', method: 'PUT', name: 'DeleteCIBucket', param: 'unbind', run: unbind },
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
    ({ at: place, method, param, header }) =>
      place === at &&
      method === request.method &&
      (param === undefined || [...request.query].some(fits(param))) &&
      (header === undefined || request.headers.has(header)),
  )
}

function fits(param: Operation['param']): (sent: [name: string, value: string]) => boolean {
  return ([name, value]) => (typeof param === 'function' ? param(name, value) : name === param)
}

const TAKE_RULES = ['PutObject', 'ImageProcess', 'CompleteMultipartUpload']

/** Whether the request is a GoodsMatting call or has rules for one. */
export function isPaid(operation: Operation | undefined, request: CosRequest): boolean {
  if (operation?.name === 'GoodsMatting') return true
  const rules = request.headers.get('pic-operations')
  return TAKE_RULES.includes(operation?.name ?? '') && Boolean(rules) && !isUnpaid(rules ?? '')
}

/** The actions of a request on the object of its path, as policies name them. */
export function actionsOf(operation: Operation, request: CosRequest): string[] {
  const { at, name, actions = [`${at === 'pic' || at === 'ci' ? 'ci' : 'cos'}:${name}`] } = operation
  return isPaid(operation, request) ? [...actions, 'ci:CreateGoodsMattingJob'] : actions
}

/** What the signer's key must be allowed to do, one by one: rules are not even read if it may not store the source. */
export function* needsOf(state: State, operation: Operation, request: CosRequest): Generator<Need> {
  const { bucket } = request
  // Operations on AI content recognition are about the bucket, although they have a path.
  const key = operation.at === 'ci' ? '' : request.key
  for (const action of actionsOf(operation, request)) yield { action, bucket, key }
  if (operation.name === 'CopyObject') yield { action: 'cos:GetObject', ...copySource(state, request) }
  if (!TAKE_RULES.includes(operation.name)) return
  for (const rule of readPicOperations(state, request)?.rules ?? [])
    yield { action: 'cos:PutObject', bucket: rule.bucket, key: rule.key }
}

/** Parameters that change what COS does. So do all parameters without a value, and styles, whose names hold a slash. */
const MEANINGFUL = ['ci-process', 'image_process', 'partNumber', 'uploadId', 'versionId']

/**
 * Headers with which COS would do something that is not done here: those of PUT Object (product/436/7749), of copying, of
 * ReturnBody and Callback (product/436/97529, product/436/106770), and limits from its SDKs. COS ignores all others, and so
 * does this.
 */
const MEANINGFUL_HEADERS =
  /^x-cos-(?:acl|callback.*|content-sha1|copy-source.*|forbid-overwrite|fsize-.*|grant-.*|metadata-directive|mfa|mime-limit|object-.*|process|rename-source|return-body|server-side-encryption.*|storage-class|symlink.*|tagging.*)$/

/** The values of these headers that are accepted, because they ask for what is done anyway or is implemented. */
const HEADERS: Record<string, RegExp> = {
  'x-cos-acl': /^(private|default|)$/,
  'x-cos-forbid-overwrite': /^(true|false)$/i,
  'x-cos-storage-class': /^(STANDARD|)$/,
}

/**
 * Refuses, by name, what is not implemented, so that it is not silently ignored. A parameter that means nothing to COS is
 * ignored, as it is there.
 */
export function refuseUnknown(operation: Operation | undefined, request: CosRequest): asserts operation {
  const { method, query, headers, door, path } = request
  if (door === 'ci' && path !== '/ai_bucket') {
    // The vendor answers so, by field reports.
    if (query.has('ci-process')) throw new Refusal('InvalidUrl')
    throw notImplemented(`${method} ${path}`)
  }
  const understood = new Set([...(operation?.uses ?? []), 'x-cos-security-token'])
  for (const [name, value] of query) {
    if (fits(operation?.param)([name, value]) || understood.has(name)) continue
    if (name.startsWith('q-') || name.startsWith('response-')) continue
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
