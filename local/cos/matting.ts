import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Layout } from '../layout.ts'
import { type Answer, encodeKey, Refusal, type RefusalCode, xml } from './answer.ts'
import type { BillItem } from './bill.ts'
import { checkBound } from './buckets.ts'
import { fetchImage, readDetectUrl } from './detect.ts'
import { imageInfo } from './info.ts'
import type { Draft, Stored } from './objects.ts'
import { MAX_IMAGE_BYTES } from './picture.ts'
import { develop } from './pixels.ts'
import { CI } from './process.ts'
import { find } from './read.ts'
import { type CosRequest, withoutQuery } from './request.ts'
import { isProcessing, type PicOperations, type Rule, readLayout, readPicOperations, ruleText } from './rules.ts'
import { type Call, publish, type State, tell } from './state.ts'

/** The vendor's method one, processing during download: `GET /<key>?ci-process=GoodsMatting`, also with `detect-url`. */
export async function downloadMatting(state: State, call: Call): Promise<Answer> {
  const { request } = call
  checkActive(state, request.bucket)
  const layout = readLayout(request.query)
  const source = await readSource(state, request)
  const [cutout] = await cut(state, source.image, [layout], source.name)
  if (!cutout) throw new Refusal('InternalError')
  call.billed++
  state.bill.add([
    {
      at: new Date(state.now()).toISOString(),
      method: 'download',
      source: source.name,
      etag: source.etag,
      rule: ruleText(layout),
      fileid: '',
      outcome: call.lose ? 'lost' : 'returned',
      blank: cutout.blank,
    },
  ])
  const headers = { 'Content-Type': 'image/png', 'Content-Length': `${cutout.png.length}`, ...CI }
  return { status: 200, headers, body: cutout.png }
}

/** The vendor's method three, cloud data processing: `POST /<key>?image_process`. */
export async function imageProcess(state: State, call: Call): Promise<Answer> {
  const { request } = call
  const { headers } = request
  if (!headers.has('content-length') && !headers.has('transfer-encoding')) throw new Refusal('MissingContentLength')
  const operations = picOperations(state, request)
  if (!operations) throw new Refusal('InvalidPicOperations', 'The Pic-Operations header is missing.')
  const source = find(state, request)
  const image = source.size > MAX_IMAGE_BYTES ? undefined : state.objects.bytes(source)
  return uploadResult(await applyRules(state, call, 'cloud', source, image, operations))
}

/** The vendor's method two, processing upon upload. The source is already stored. */
export async function processUpload(
  state: State,
  call: Call,
  source: Stored,
  image: Buffer | undefined,
  operations: PicOperations,
): Promise<Answer> {
  const { headers, ...answer } = uploadResult(await applyRules(state, call, 'upload', source, image, operations))
  return { ...answer, headers: { ...headers, ...uploadHeaders(source) } }
}

/** The headers that describe the object that was uploaded. */
export function uploadHeaders({ etag, crc64 }: Stored): Record<string, string> {
  return { ETag: `"${etag}"`, 'x-cos-hash-crc64ecma': crc64 }
}

/** Reads the request's Pic-Operations, if it has any. @throws Refusal also if the bucket may not use them */
export function picOperations(state: State, request: CosRequest): PicOperations | undefined {
  const operations = readPicOperations(state, request)
  if (operations?.rules.length && operations.rules.every(({ work }) => isProcessing(work)))
    checkBound(state.buckets, request.bucket)
  else if (operations) checkActive(state, request.bucket)
  return operations
}

/** Checks the two switches of "Service Activation". It is not documented which code the vendor answers if one is off. */
function checkActive(state: State, bucket: string): void {
  checkBound(state.buckets, bucket)
  if (state.buckets.known(bucket).ai === null)
    throw new Refusal('NoProcessAuthority', 'AI content recognition is not open for the bucket.')
}

export interface Processed {
  original: object
  results: object[]
}

/**
 * A draft's bytes; undefined if it is too large for an image. To be read before the draft is an object, which others may
 * replace.
 */
export function draftImage(state: State, draft: Draft): Buffer | undefined {
  return draft.size > MAX_IMAGE_BYTES ? undefined : state.objects.draftBytes(draft)
}

/**
 * Cuts, stores, bills and sends the events, in this order, so that a process that is killed in between never leaves a bill
 * without its cutout.
 * @param image undefined if it is too large
 */
export async function applyRules(
  state: State,
  call: Call,
  method: 'cloud' | 'upload',
  source: Stored,
  image: Buffer | undefined,
  { isPicInfo, rules }: PicOperations,
): Promise<Processed> {
  if (!image) throw new Refusal('ImageTooLarge')
  if (rules.length > 0) {
    for (const { kind, ms } of state.faults.draw(['Cut'], source.key)) {
      if (kind === 'delay') await sleep(ms ?? 0)
      if (kind === 'hold') await state.faults.hold(source.key)
    }
  }
  const made = await make(state, image, source.key, rules, isPicInfo)
  const info = isPicInfo ? { ImageInfo: await imageInfo(image) } : {}
  const dropped = call.drop ? rules.length - 1 : -1
  let { etag } = source
  const results: object[] = []
  const told: Stored[] = []
  for (const [i, { bucket, key }] of rules.entries()) {
    const { bytes, type, info: about } = made[i] ?? {}
    if (!bytes || !type || i === dropped) continue
    const sha1 = createHash('sha1').update(bytes).digest('hex')
    const draft = await state.objects.receive(Readable.from([bytes]), Number.POSITIVE_INFINITY)
    const stored = publish(state, call, draft, { bucket, key, etag: sha1, headers: { 'Content-Type': type } })
    told.push(stored)
    if (bucket === source.bucket && key === source.key) etag = stored.etag
    const place = { Key: key, Location: location(call.request, bucket, key) }
    results.push({ ...place, ...about, Size: stored.size, ETag: `"${stored.etag}"` })
  }
  const at = new Date(state.now()).toISOString()
  const items = rules.flatMap(({ work, key }, i): BillItem[] => {
    const { blank = false, advanced = false } = made[i] ?? {}
    if (isProcessing(work)) {
      state.bill.processing.add(image.length, advanced)
      return []
    }
    const outcome = i === dropped ? 'dropped' : call.lose ? 'lost' : 'stored'
    return [{ at, method, source: source.key, etag: source.etag, rule: ruleText(work), fileid: key, outcome, blank }]
  })
  state.bill.add(items)
  call.billed += items.length
  for (const stored of told) await tell(state, call.request, stored, { kind: 'created', via: 'Put' })
  const place = { Key: source.key, Location: location(call.request, source.bucket, source.key) }
  return { original: { ...place, ETag: `"${etag}"`, ...info }, results }
}

interface Made {
  bytes: Buffer
  type: string
  /** What the answer says of it. */
  info: object
  blank?: boolean
  advanced?: boolean
}

/** What each rule asks for, all of it before anything is stored. */
async function make(
  state: State,
  image: Buffer,
  key: string,
  rules: readonly Rule[],
  isPicInfo: boolean,
): Promise<Made[]> {
  const layouts = rules.flatMap(({ work }) => (isProcessing(work) ? [] : [work]))
  // The engine also checks a picture if only its information is asked for: a small file may take very long to decode.
  const cutouts = layouts.length > 0 || isPicInfo ? await cut(state, image, layouts, key) : []
  const made: Made[] = []
  for (const { work } of rules) {
    if (isProcessing(work)) made.push(await develop(image, work, state.readings))
    else {
      const cutout = cutouts.shift()
      if (!cutout) throw new Refusal('InternalError')
      // As in the page's sample: an empty Format, and neither width nor height.
      made.push({ bytes: cutout.png, type: 'image/png', info: { Format: null }, blank: cutout.blank })
    }
  }
  return made
}

function uploadResult({ original, results }: Processed): Answer {
  const tree = {
    UploadResult: { OriginalInfo: original, ProcessResults: results.length > 0 ? { Object: results } : null },
  }
  return { status: 200, headers: { 'Content-Type': 'application/xml', ...CI }, body: xml(tree) }
}

/** `<bucket>.cos.<region>.myqcloud.com/<key>`, without a scheme. */
function location({ region }: CosRequest, bucket: string, key: string): string {
  return `${bucket}.cos.${region}.myqcloud.com/${encodeKey(key)}`
}

async function readSource(state: State, request: CosRequest): Promise<{ image: Buffer; name: string; etag: string }> {
  const detect = request.query.get('detect-url')
  if (detect) {
    const url = readDetectUrl(detect)
    const image = await fetchImage(state, request, url, MAX_IMAGE_BYTES)
    return { image, name: withoutQuery(url.href), etag: createHash('md5').update(image).digest('hex') }
  }
  if (request.key === '') throw new Refusal('InvalidArgument', 'There is neither an object key nor a detect-url.')
  const stored = find(state, request)
  if (stored.size > MAX_IMAGE_BYTES) throw new Refusal('ImageTooLarge')
  return { image: state.objects.bytes(stored), name: stored.key, etag: stored.etag }
}

const CUT_REFUSALS: readonly RefusalCode[] = ['InvalidImageFormat', 'ImageResolutionExceed', 'ImageTooLarge']

async function cut(state: State, image: Buffer, layouts: Layout[], name: string) {
  try {
    return await state.cut(image, layouts, name)
  } catch (error) {
    const code = CUT_REFUSALS.find((c) => error instanceof Error && 'code' in error && error.code === c)
    throw code ? new Refusal(code) : error
  }
}
