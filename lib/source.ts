import { isCutout, MAX_KEY } from './cutout.ts'

/** What the vendor reads, as far as its pages say (product/460/36620). */
const IMAGE_TYPE = /^image\/(jpe?g|pjpeg|png|webp|bmp|x-ms-bmp)\s*(;|$)/i
const IMAGE_NAME = /\.(jpe?g|png|webp|bmp)$/i
/** Says nothing: what COS and clients give when they do not know. */
const NO_TYPE = /^((application|binary)\/octet-stream\s*(;.*)?)?$/i

/** Whether a key may be cut out: it lies in a source folder. */
export function isUnder(key: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => key.startsWith(prefix))
}

/** Why an object of this key is never cut out, whichever way it came in; undefined if it may be. */
export function refuseKey(key: string, sourcePrefixes: readonly string[]): string | undefined {
  // The percent-encoded reading of a long key: no object has it.
  if (Buffer.byteLength(key) > MAX_KEY) return 'too long a key'
  if (isCutout(key)) return 'a cutout'
  return isUnder(key, sourcePrefixes) ? undefined : 'not in a source folder'
}

/** Why an object is not cut out by what it is; its size in bytes. Undefined if it is. */
export function refuseObject(key: string, { size, type }: { size: number; type: string }): string | undefined {
  if (key.endsWith('/') || size === 0) return 'empty'
  if (NO_TYPE.test(type) ? IMAGE_NAME.test(key) : IMAGE_TYPE.test(type)) return undefined
  return 'not an image by its type and name'
}

/** Whether a type says that it is no image; where it says nothing, the name or a HEAD may. */
export function isOtherType(type: string): boolean {
  return !NO_TYPE.test(type) && !IMAGE_TYPE.test(type)
}
