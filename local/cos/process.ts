import { createHash } from 'node:crypto'
import { type Answer, Refusal, type RefusalCode } from './answer.ts'
import { checkBound } from './buckets.ts'
import { averageColour } from './info.ts'
import { readProcessing } from './mogr2.ts'
import { MAX_IMAGE_BYTES, readSource } from './picture.ts'
import { develop } from './pixels.ts'
import { find, overrides } from './read.ts'
import type { Call, State } from './state.ts'

/** Whether a query parameter is basic image processing: an operation is a name without a value. */
export function isProcessingParameter(name: string, value: string): boolean {
  return value === '' && /^(?:imageMogr2(?:\/.*)?|imageInfo|imageAve)$/s.test(name)
}

/** "Error Codes" (product/460/8523): what the header X-ErrNo says of a download. */
const NUMBERS: Partial<Record<RefusalCode, string>> = {
  ImageTooLarge: '-167',
  InvalidImageFormat: '-441',
  ImageResolutionExceed: '-447',
}

/**
 * GET and HEAD of an object with basic image processing. Range and conditions are ignored: no page gives a result an ETag, and the
 * sample of product/1246/45383 has Last-Modified alone.
 */
export async function processedObject(state: State, { request }: Call): Promise<Answer> {
  checkBound(state.buckets, request.bucket)
  const stored = find(state, request)
  const asked = [...request.query].filter((parameter) => isProcessingParameter(...parameter))
  const [name] = asked.at(state.readings.several === 'first' ? 0 : -1) ?? ['']
  const headers = { 'Last-Modified': new Date(stored.modified).toUTCString(), ...overrides(request) }
  try {
    if (!name.startsWith('imageMogr2')) {
      if (stored.size > MAX_IMAGE_BYTES) throw new Refusal('ImageTooLarge')
      const body = await tell(name, state.objects.bytes(stored))
      state.bill.processing.add(stored.size, false)
      return { status: 200, headers: { 'Content-Type': 'application/json', ...headers, ...CI }, body }
    }
    const processing = readProcessing(name)
    if (stored.size > MAX_IMAGE_BYTES) {
      if (!processing.ignoresErrors) throw new Refusal('ImageTooLarge')
      const body = state.objects.stream(stored)
      return {
        status: 200,
        headers: { ...stored.headers, 'Content-Length': `${stored.size}`, ...headers, ...CI },
        body,
      }
    }
    const { bytes, type, advanced } = await develop(state.objects.bytes(stored), processing, state.readings)
    state.bill.processing.add(stored.size, advanced)
    return { status: 200, headers: { 'Content-Type': type, ...headers, ...CI }, body: bytes }
  } catch (error) {
    const number = error instanceof Refusal ? NUMBERS[error.code] : undefined
    throw number && error instanceof Refusal ? new Refusal(error.code, error.message, {}, { 'X-ErrNo': number }) : error
  }
}

/** The headers by which an answer of Cloud Infinite is known. */
export const CI = { Server: 'tencent-ci', Status: '200 OK' }

/** `imageInfo` (product/460/6927) and `imageAve` (product/460/6928), spaced as their samples are. */
async function tell(name: string, image: Buffer): Promise<string> {
  const { format, width, height, frames, depth, density = 72 } = await readSource(image)
  const said =
    name === 'imageAve'
      ? { RGB: await averageColour(image).catch(() => Promise.reject(new Refusal('InvalidImageFormat'))) }
      : {
          format: format === 'jpg' ? 'jpeg' : format,
          width,
          height,
          size: image.length,
          md5: createHash('md5').update(image).digest('hex'),
          dynamic_range: 'unknow',
          frame_count: frames,
          bit_depth: depth,
          vertical_dpi: density,
          horizontal_dpi: density,
        }
  return `{${Object.entries(said)
    .map(([field, value]) => `"${field}": "${value}"`)
    .join(', ')}}`
}
