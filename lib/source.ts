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
  if (key.endsWith('/') || size === 0) return 'empty'
  if (NO_TYPE.test(type) ? IMAGE_NAME.test(key) : IMAGE_TYPE.test(type)) return undefined
  return 'not an image by its type and name'
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
