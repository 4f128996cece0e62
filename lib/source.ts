import { isCutout, MAX_KEY } from './cutout.ts'

/** The formats that the vendor reads, according to its pages (product/460/36620). */
const IMAGE_TYPE = /^image\/(jpe?g|pjpeg|png|webp|bmp|x-ms-bmp)\s*(;|$)/i
const IMAGE_NAME = /\.(jpe?g|png|webp|bmp)$/i
/** Types that say nothing: COS and clients send them if they do not know the type. */
const NO_TYPE = /^((application|binary)\/octet-stream\s*(;.*)?)?$/i

/** Whether a key lies in a source folder. */
export function isUnder(key: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => key.startsWith(prefix))
}

/** The reason why an object with this key is never cut out, however it came in; undefined if it may be. */
export function refuseKey(key: string, sourcePrefixes: readonly string[]): string | undefined {
  // For example the percent-encoded reading of a long key; no object has such a key.
  if (Buffer.byteLength(key) > MAX_KEY) return 'too long a key'
  if (isCutout(key)) return 'a cutout'
  return isUnder(key, sourcePrefixes) ? undefined : 'not in a source folder'
}

/** The reason why an object's size (in bytes), type and name forbid to cut it out; undefined if they do not. */
export function refuseObject(key: string, { size, type }: { size: number; type: string }): string | undefined {
  if (isEmpty(key, size)) return 'empty'
  if (NO_TYPE.test(type) ? IMAGE_NAME.test(key) : IMAGE_TYPE.test(type)) return undefined
  return 'not an image by its type and name'
}

/**
 * The reason why nothing is paid for an object, as far as a LIST can tell; undefined if only a HEAD can tell more. The name alone
 * refuses nothing, because `a.txt` is cut out if its Content-Type is image/png; nor does the folder, because metadata may name
 * presets. Cutouts of a photo that is `too-large` may be there from before MAX_SOURCE_BYTES was lowered.
 */
export function refuseListed(
  { key, size }: { key: string; size: number },
  { sourcePrefixes, maxSourceBytes }: { sourcePrefixes: readonly string[]; maxSourceBytes: number },
): string | undefined {
  const why = refuseKey(key, sourcePrefixes)
  if (why) return why
  if (isEmpty(key, size)) return 'empty'
  return size > maxSourceBytes ? 'too-large' : undefined
}

function isEmpty(key: string, size: number): boolean {
  return key.endsWith('/') || size === 0
}

/** Whether a type says that this is no image. If it says nothing, the name or a HEAD may. */
export function isOtherType(type: string): boolean {
  return !NO_TYPE.test(type) && !IMAGE_TYPE.test(type)
}

/** The folder, within a source folder, of the photos by which a deployment is tried. Nobody is told of them. */
const TRIES = '.matting-test/'

/** A key for trying a deployment. */
export function tryKey(folder: string, name: string): string {
  return `${folder}${TRIES}${name}.jpg`
}

/** Whether it is such a key. */
export function isTry(key: string, sourcePrefixes: readonly string[]): boolean {
  return sourcePrefixes.some((prefix) => key.startsWith(`${prefix}${TRIES}`))
}
