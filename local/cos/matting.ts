import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Layout } from '../layout.ts'
import { type Answer, encodeKey, Refusal, type RefusalCode, xml } from './answer.ts'
import type { BillItem } from './bill.ts'
import { type Call, type Cloud, publish, tell } from './cloud.ts'
import { fetchImage, readDetectUrl } from './detect.ts'
import { imageInfo } from './info.ts'
import type { Draft, Stored } from './objects.ts'
import { find } from './read.ts'
import { type CosRequest, withoutQuery } from './request.ts'
import { type PicOperations, readLayout, readPicOperations, ruleText } from './rules.ts'

/** "Usage Limits" (product/460/36620): 32 MB, the same for all basic image processing. */
export const MAX_IMAGE_BYTES = 32 * 1024 * 1024

/** Method one, processing during download: `GET /<key>?ci-process=GoodsMatting`, also with `detect-url`. */
export async function downloadMatting(cloud: Cloud, call: Call): Promise<Answer> {
  const { request } = call
  checkActive(cloud, request.bucket)
  const layout = readLayout(request.query)
  const source = await readSource(cloud, request)
  const [cutout] = await cut(cloud, source.image, [layout])
  if (!cutout) throw new Refusal('InternalError')
  cloud.bill.add([
    {
      at: new Date(cloud.now()).toISOString(),
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

/** Method three, cloud data processing: `POST /<key>?image_process`. */
export async function imageProcess(cloud: Cloud, call: Call): Promise<Answer> {
  const { request } = call
  const { headers } = request
  if (!headers.has('content-length') && !headers.has('transfer-encoding')) throw new Refusal('MissingContentLength')
  const operations = picOperations(cloud, request)
  if (!operations) throw new Refusal('InvalidPicOperations', 'The Pic-Operations header is missing.')
  const source = find(cloud, request)
  const image = source.size > MAX_IMAGE_BYTES ? undefined : cloud.objects.bytes(source)
  return uploadResult(await applyRules(cloud, call, 'cloud', source, image, operations))
}

/** Method two, processing upon upload: after the source was stored. */
export async function processUpload(
  cloud: Cloud,
  call: Call,
  source: Stored,
  image: Buffer | undefined,
  operations: PicOperations,
): Promise<Answer> {
  const { headers, ...answer } = uploadResult(await applyRules(cloud, call, 'upload', source, image, operations))
  return { ...answer, headers: { ...headers, ...uploadHeaders(source) } }
}

/** What an answer says of the object that was uploaded. */
export function uploadHeaders({ etag, crc64 }: Stored): Record<string, string> {
  return { ETag: `"${etag}"`, 'x-cos-hash-crc64ecma': crc64 }
}

/** The request's Pic-Operations, if it has any and the bucket may use them. */
export function picOperations(cloud: Cloud, request: CosRequest): PicOperations | undefined {
  const operations = readPicOperations(cloud, request)
  if (operations) checkActive(cloud, request.bucket)
  return operations
}

/** The two switches of "Service Activation". The vendor does not say which code their lack has. */
function checkActive(cloud: Cloud, bucket: string): void {
  const state = cloud.buckets.get(bucket)
  if (!state?.bound) throw new Refusal('NoProcessAuthority', 'Cloud Infinite is not bound to the bucket.')
  if (state.ai === null) throw new Refusal('NoProcessAuthority', 'AI content recognition is not open for the bucket.')
}

export interface Processed {
  original: object
  results: object[]
}

/** A draft's bytes, unless they are too many for an image. Read before it is an object that others may replace. */
export function draftImage(cloud: Cloud, draft: Draft): Buffer | undefined {
  return draft.size > MAX_IMAGE_BYTES ? undefined : cloud.objects.draftBytes(draft)
}

/**
 * Cuts, stores, bills and tells, in this order: a process killed in between must not leave a bill without its cutout, for which
 * nobody would have been charged. `image` is undefined if there is too much of it.
 */
export async function applyRules(
  cloud: Cloud,
  call: Call,
  method: 'cloud' | 'upload',
  source: Stored,
  image: Buffer | undefined,
  { isPicInfo, rules }: PicOperations,
): Promise<Processed> {
  if (!image) throw new Refusal('ImageTooLarge')
  if (rules.length > 0) {
    for (const { kind, ms } of cloud.faults.draw(['Cut'], source.key)) {
      if (kind === 'delay') await sleep(ms ?? 0)
      if (kind === 'hold') await cloud.faults.hold(source.key)
    }
  }
  const layouts = rules.map(({ layout }) => layout)
  // The engine also judges a picture of which only the information is wanted: to read it may cost far more than its size.
  const cutouts = layouts.length > 0 || isPicInfo ? await cut(cloud, image, layouts) : []
  const info = isPicInfo ? { ImageInfo: await imageInfo(image) } : {}
  const dropped = call.drop ? rules.length - 1 : -1
  let { etag } = source
  const results: object[] = []
  const made: Stored[] = []
  for (const [i, { bucket, key }] of rules.entries()) {
    const png = cutouts[i]?.png
    if (!png || i === dropped) continue
    const sha1 = createHash('sha1').update(png).digest('hex')
    const draft = await cloud.objects.receive(Readable.from([png]), Number.POSITIVE_INFINITY)
    const object = { bucket, key, etag: sha1, headers: { 'Content-Type': 'image/png' } }
    const stored = publish(cloud, call, draft, object)
    made.push(stored)
    if (bucket === source.bucket && key === source.key) etag = stored.etag
    // An empty Format, and neither width nor height: as the page's sample has it.
    const place = { Key: key, Location: location(call.request, bucket, key) }
    results.push({ ...place, Format: null, Size: stored.size, ETag: `"${stored.etag}"` })
  }
  const at = new Date(cloud.now()).toISOString()
  cloud.bill.add(
    rules.map(({ layout, key }, i): BillItem => {
      const outcome = i === dropped ? 'dropped' : call.lose ? 'lost' : 'stored'
      const blank = cutouts[i]?.blank ?? false
      return { at, method, source: source.key, etag: source.etag, rule: ruleText(layout), fileid: key, outcome, blank }
    }),
  )
  for (const stored of made) await tell(cloud, call.request, stored, { kind: 'created', via: 'Put' })
  const place = { Key: source.key, Location: location(call.request, source.bucket, source.key) }
  return { original: { ...place, ETag: `"${etag}"`, ...info }, results }
}

/** What marks an answer of Cloud Infinite. */
const CI = { Server: 'tencent-ci', Status: '200 OK' }

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

async function readSource(cloud: Cloud, request: CosRequest): Promise<{ image: Buffer; name: string; etag: string }> {
  const detect = request.query.get('detect-url')
  if (detect) {
    const url = readDetectUrl(detect)
    const image = await fetchImage(cloud, request, url, MAX_IMAGE_BYTES)
    return { image, name: withoutQuery(url.href), etag: createHash('md5').update(image).digest('hex') }
  }
  if (request.key === '') throw new Refusal('InvalidArgument', 'There is neither an object key nor a detect-url.')
  const stored = find(cloud, request)
  if (stored.size > MAX_IMAGE_BYTES) throw new Refusal('ImageTooLarge')
  return { image: cloud.objects.bytes(stored), name: stored.key, etag: stored.etag }
}

const CUT_REFUSALS: readonly RefusalCode[] = ['InvalidImageFormat', 'ImageResolutionExceed', 'ImageTooLarge']

async function cut(cloud: Cloud, image: Buffer, layouts: Layout[]) {
  try {
    return await cloud.cut(image, layouts)
  } catch (error) {
    const code = CUT_REFUSALS.find((c) => error instanceof Error && 'code' in error && error.code === c)
    throw code ? new Refusal(code) : error
  }
}
