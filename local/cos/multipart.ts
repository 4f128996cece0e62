import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { type Answer, encodeKey, Refusal, xmlAnswer } from './answer.ts'
import { joinedCrc64 } from './crc64.ts'
import { applyRules, draftImage, picOperations } from './matting.ts'
import type { Stored } from './objects.ts'
import { listPage, readCount, readEncoding, readMax } from './read.ts'
import type { CosRequest } from './request.ts'
import { type Call, lastModifiedOf, type State, tell } from './state.ts'
import { multipartEtag, type Part, type Upload } from './uploads.ts'
import { forbidsOverwrite, MAX_OBJECT_BYTES, readBody, receiveBody, storedHeaders } from './write.ts'

/** The least size of a part; only the last part may be smaller (product/436/14112). */
const MIN_PART_BYTES = 1024 ** 2
const MAX_PARTS = 10_000
/** The limit of a list of parts; 10,000 parts need less than half of it. */
const MAX_LIST_BYTES = 4 * 1024 ** 2

/** Initiate Multipart Upload (product/436/7746). */
export async function initiate(state: State, { request }: Call): Promise<Answer> {
  const { bucket, key } = request
  if (forbidsOverwrite(request) && state.objects.get(bucket, key)) throw new Refusal('FileAlreadyExists')
  const { id } = state.uploads.start({ bucket, key, started: state.now(), headers: storedHeaders(request) })
  return xmlAnswer({ InitiateMultipartUploadResult: { Bucket: bucket, Key: key, UploadId: id } })
}

/** Upload Part (product/436/7750). */
export async function uploadPart(state: State, { request }: Call): Promise<Answer> {
  const number = Number(request.query.get('partNumber'))
  if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS)
    throw new Refusal('InvalidArgument', `partNumber is not 1 to ${MAX_PARTS}.`)
  const { id } = findUpload(state, request)
  const draft = await receiveBody(state, request, MAX_OBJECT_BYTES)
  try {
    // Checked again, because the upload may have been completed or aborted while the part was received.
    findUpload(state, request)
    state.uploads.add(id, number, draft, state.now())
  } finally {
    state.objects.discard(draft)
  }
  return { status: 200, headers: { ETag: `"${draft.md5}"`, 'x-cos-hash-crc64ecma': draft.crc64 } }
}

/** Complete Multipart Upload (product/436/7742), also with Pic-Operations. */
export async function complete(state: State, call: Call): Promise<Answer> {
  const { request } = call
  const upload = findUpload(state, request)
  const operations = picOperations(state, request)
  const wanted = readPartList(await readBody(state, request, MAX_LIST_BYTES))
  // Checked again, because reading took time, and only one request may complete the upload.
  findUpload(state, request)
  const parts = chooseParts(wanted, state.uploads.parts(upload.id))
  state.uploads.take(upload.id)
  const { bucket, key, headers } = upload
  let stored: Stored
  let image: Buffer | undefined
  try {
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    if (size > MAX_OBJECT_BYTES) throw new Refusal('EntityTooLarge')
    const sums = { size, md5: '', crc64: joinedCrc64(parts) }
    const draft = await state.objects.join(state.uploads.stream(upload.id, parts), sums)
    image = operations && draftImage(state, draft)
    const object = { bucket, key, etag: multipartEtag(parts), headers, modified: lastModifiedOf(state, upload.started) }
    stored = state.objects.publish(draft, object, forbidsOverwrite(request))
  } catch (error) {
    state.uploads.putBack(upload)
    throw error
  }
  state.uploads.remove(upload.id)
  await tell(state, request, stored, { kind: 'created', via: 'CompleteMultipartUpload' })
  const processed = operations && (await applyRules(state, call, 'upload', stored, image, operations))
  const url = `http://${bucket}.cos.${request.region}.myqcloud.com/${encodeKey(key)}`
  return xmlAnswer(
    {
      CompleteMultipartUploadResult: {
        Location: url,
        Bucket: bucket,
        Key: key,
        ETag: `"${stored.etag}"`,
        // Here the vendor's own SDK expects them.
        ...(processed && { ...processed.original, Location: url, ProcessResults: { Object: processed.results } }),
      },
    },
    { 'x-cos-hash-crc64ecma': stored.crc64 },
  )
}

/** Abort Multipart Upload (product/436/7740). */
export async function abort(state: State, { request }: Call): Promise<Answer> {
  state.uploads.remove(findUpload(state, request).id)
  return { status: 204 }
}

/** List Parts (product/436/7747). */
export async function listParts(state: State, { request }: Call): Promise<Answer> {
  const { query } = request
  const upload = findUpload(state, request)
  const marker = readCount(query.get('part-number-marker') || '0')
  const max = readMax(query.get('max-parts'))
  const text = readEncoding(query)
  const rest = state.uploads.parts(upload.id).filter(({ number }) => number > marker)
  const shown = rest.slice(0, max)
  return xmlAnswer({
    ListPartsResult: {
      Bucket: upload.bucket,
      ...(query.has('encoding-type') && { EncodingType: 'url' }),
      Key: text(upload.key),
      UploadId: upload.id,
      StorageClass: 'STANDARD',
      PartNumberMarker: marker,
      NextPartNumberMarker: shown.at(-1)?.number ?? marker,
      MaxParts: max,
      IsTruncated: rest.length > shown.length,
      Part: shown.map(({ number, modified, md5, size }) => ({
        PartNumber: number,
        LastModified: new Date(modified).toISOString(),
        ETag: `"${md5}"`,
        Size: size,
      })),
    },
  })
}

/** List Multipart Uploads (product/436/7736). */
export async function listUploads(state: State, { request: { bucket, query } }: Call): Promise<Answer> {
  const text = readEncoding(query)
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const keyMarker = query.get('key-marker') ?? ''
  const idMarker = query.get('upload-id-marker') ?? ''
  const max = readMax(query.get('max-uploads'))
  const after = ({ key, id }: Upload) => {
    const order = Buffer.compare(Buffer.from(key), Buffer.from(keyMarker))
    return order > 0 || (order === 0 && idMarker !== '' && id > idMarker)
  }
  const uploads = state.uploads.list(bucket).filter(after)
  const page = listPage(uploads, ({ key }) => key, { prefix, delimiter, marker: '', max })
  const last = page.items.at(-1)
  return xmlAnswer({
    ListMultipartUploadsResult: {
      Bucket: bucket,
      ...(query.has('encoding-type') && { EncodingType: 'url' }),
      Prefix: text(prefix),
      ...(delimiter !== '' && { Delimiter: text(delimiter) }),
      KeyMarker: text(keyMarker),
      UploadIdMarker: idMarker,
      MaxUploads: max,
      IsTruncated: page.next !== undefined,
      ...(page.next !== undefined && { NextKeyMarker: text(page.next), NextUploadIdMarker: last?.id ?? '' }),
      Upload: page.items.map(({ key, id, started }) => ({
        Key: text(key),
        UploadId: id,
        StorageClass: 'STANDARD',
        Initiated: new Date(started).toISOString(),
      })),
      CommonPrefixes: page.prefixes.map((common) => ({ Prefix: text(common) })),
    },
  })
}

function findUpload(state: State, { bucket, key, query }: CosRequest): Upload {
  const upload = state.uploads.get(query.get('uploadId') ?? '')
  if (upload?.bucket !== bucket || upload.key !== key) throw new Refusal('NoSuchUpload')
  return upload
}

const parser = new XMLParser({ parseTagValue: false, processEntities: false, isArray: (name) => name === 'Part' })

function readPartList(text: string): Pick<Part, 'md5' | 'number'>[] {
  if (XMLValidator.validate(text) !== true) throw new Refusal('MalformedXML')
  const tree: unknown = parser.parse(text)
  const parts: unknown = Object(Object(tree).CompleteMultipartUpload).Part
  if (!Array.isArray(parts)) throw new Refusal('MalformedXML')
  return parts.map((part: unknown) => {
    const { PartNumber: number, ETag: etag } = Object(part) as Record<string, unknown>
    // The quotes may be written as an entity, and the parser does not decode entities.
    const md5 = /^(?:"|&quot;|&#34;)?([0-9a-f]{32})(?:"|&quot;|&#34;)?$/i.exec(String(etag))?.[1]
    if (!md5 || !/^\d{1,5}$/.test(String(number))) throw new Refusal('InvalidPart')
    return { number: Number(number), md5: md5.toLowerCase() }
  })
}

function chooseParts(wanted: readonly Pick<Part, 'md5' | 'number'>[], have: readonly Part[]): Part[] {
  if (wanted.some(({ number }, i) => number <= (wanted[i - 1]?.number ?? 0))) throw new Refusal('InvalidPartOrder')
  const parts = wanted.map(({ number, md5 }) => {
    const part = have.find((p) => p.number === number && p.md5 === md5)
    if (!part) throw new Refusal('InvalidPart')
    return part
  })
  if (parts.slice(0, -1).some(({ size }) => size < MIN_PART_BYTES)) throw new Refusal('EntityTooSmall')
  return parts
}
