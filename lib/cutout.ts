import { createHash } from 'node:crypto'
import { type Layout, layoutName } from './layout.ts'

/** COS allows 850 bytes of key (product/436/13324). */
export const MAX_KEY = 850
/** Thirty are left for a claim's key, which holds the cutout's. */
const MAX_CUTOUT = MAX_KEY - 30

/** What the claims, receipts and other records of this project lie under, beside the cutouts. */
export const RECORDS = '.matting/'

/**
 * Where the cutout of a source lies: `<prefix><source key>/<first 16 of ETag>-<layout>.png`, ASCII only and at most 820 bytes.
 * A changed photo gets another key, so a stored cutout never changes, and all cutouts of a photo share one folder.
 */
export function cutoutKey(prefix: string, source: { key: string; etag: string }, layout: Layout): string {
  return `${cutoutFolder(prefix, source.key)}${etagPart(source.etag)}-${layoutName(layout)}.png`
}

/** The folder of all cutouts of a source, with its last slash. */
export function cutoutFolder(prefix: string, key: string): string {
  const folder = `${prefix}${escapeKey(key)}/`
  if (folder.length + LONGEST_FILE <= MAX_CUTOUT) return folder
  // `_long` cannot come from escaping, which writes `_` only before two hex digits. Not reversible, but still one folder a photo.
  return `${prefix}_long/${createHash('sha256').update(key).digest('hex')}/`
}

/** What of a source's ETag its cutouts carry. */
export function etagPart(etag: string): string {
  return etag.replace(/\W/g, '').slice(0, 16)
}

const LONGEST_FILE = '0123456789abcdef-c1-p1000x1000.png'.length

/**
 * Whether a key has the shape of a cutout's, under whatever prefix. Such a key is never a source, so that no configuration,
 * not even one whose CUTOUT_PREFIX was changed yesterday, lets the functions feed themselves.
 */
export function isCutout(key: string): boolean {
  return /\/[\da-f]{16}-(plain|c1|(c1-)?p\d{1,4}x\d{1,4})\.png$/.test(key)
}

/**
 * Bytes outside [A-Za-z0-9./-] as _XX. So are the dot of `..` and the second slash of `//` (also a leading dot or slash, and a last slash):
 * URL normalisation and CDNs would turn those into the address of another object.
 */
function escapeKey(key: string): string {
  return key.replace(/[^A-Za-z0-9./-]|(?<=^|[./])\.|(?<=^|\/)\/|\/$/gu, (match) =>
    [...Buffer.from(match)].map((byte) => `_${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}
