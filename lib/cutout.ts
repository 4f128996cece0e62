import { createHash } from 'node:crypto'
import { type Layout, layoutName } from './layout.ts'

/** COS allows 850 bytes of key (product/436/13324). */
const MAX_KEY = 850

/**
 * Where the cutout of a source lies: `<prefix><source key>/<first 16 of ETag>-<layout>.png`, ASCII only and at most 850 bytes.
 * A changed photo gets another key, so a stored cutout never changes, and all cutouts of a photo share one prefix.
 */
export function cutoutKey(prefix: string, source: { key: string; etag: string }, layout: Layout): string {
  const file = `/${source.etag.replace(/\W/g, '').slice(0, 16)}-${layoutName(layout)}.png`
  const folder = escapeKey(source.key)
  if (prefix.length + folder.length + file.length <= MAX_KEY) return prefix + folder + file
  // `_long` cannot come from escaping, which writes `_` only before two hex digits. Not reversible, but still one folder a photo.
  return `${prefix}_long/${createHash('sha256').update(source.key).digest('hex')}${file}`
}

/**
 * Whether a key has the shape of a cutout's, under whatever prefix. Such a key is never a source, so that no configuration,
 * not even one whose CUTOUT_PREFIX was changed yesterday, lets the functions feed themselves.
 */
export function isCutout(key: string): boolean {
  return /\/\w{16}-(plain|c1|(c1-)?p\d{1,4}x\d{1,4})\.png$/.test(key)
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
