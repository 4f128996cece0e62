import { createHash } from 'node:crypto'
import { type Layout, layoutName } from './layout.ts'
import { quietly } from './quietly.ts'

/** COS allows 850 bytes of key (product/436/13324). */
export const MAX_KEY = 850
/** Thirty bytes are left for a claim's key, which contains the cutout's key. */
const MAX_CUTOUT_KEY = MAX_KEY - 30

/** The folder of this project's claims, receipts and other records, in the bucket of the cutouts. */
export const RECORDS = '.matting/'

/**
 * MD5, or SHA-1 if Cloud Infinite wrote the object, with the number of parts after a multipart upload. SHA-256 of any other
 * ETag.
 */
const ETAG = '[\\da-f]{32}(?:[\\da-f]{8})?(?:-\\d{1,5})?|[\\da-f]{64}'
/** The version in a cutout's name: the ETag, or its first 16 digits as before 1.0. */
const VERSION = `(?:${ETAG}|[\\da-f]{16})`
/** It must match whatever `layoutName` can return, for the functions would cut out again what it does not match. */
const LAYOUT = '-(?:plain|c1|(?:c1-)?p\\d{1,4}x\\d{1,4})'
/**
 * What belongs to a cutout, in a folder that has the cutout's name. It is nothing that has itself a cutout's name: that would be
 * a cutout of another photo, whose key ends in the name of this folder.
 */
const BESIDE = `(?!${VERSION}${LAYOUT}\\.png$)[a-z\\d-]{1,80}\\.(?:png|webp|jpg|avif)`
const FILE = `(${VERSION})${LAYOUT}(?:\\.png|/${BESIDE})$`
const NAME = new RegExp(`^${FILE}`)
const KEY = new RegExp(`/${FILE}`)
/**
 * The longest name. If it grows, photos whose keys are near the limit get another folder, and their cutouts are paid for again.
 * LONGEST_OLDER never changes: it has decided where cutouts lay before 1.0.
 */
const LONGEST_FILE = 64 + '-c1-p1000x1000.png'.length
const LONGEST_OLDER = 16 + '-c1-p1000x1000.png'.length

/**
 * The key of a source's cutout: `<prefix><source key>/<ETag>-<layout>.png`, ASCII only and at most 820 bytes. A changed photo
 * gets another key, so a stored cutout never changes, and all cutouts of a photo share one folder. It holds the whole ETag,
 * because two photos whose MD5 begin with the same 16 digits can be made in two minutes, and one would be shown as the other.
 */
export function cutoutKey(prefix: string, source: { key: string; etag: string }, layout: Layout): string {
  return `${cutoutFolder(prefix, source.key)}${etagPart(source.etag)}-${layoutName(layout)}.png`
}

/** What keys tell of a source; `asked` is what they told of a picture elsewhere before 1.0. */
export interface Named {
  key: string
  etag: string
  asked?: { url: string; version: string }
}

/** How a source was named before 1.0. */
export function olderName({ key, etag, asked }: Named): Named {
  return asked ? { key: asked.url, etag: asked.version } : { key, etag }
}

/**
 * The keys of its cutout before 1.0, with the first 16 digits of the ETag. They count only for a version that was stored before
 * that cutout was made.
 */
export function olderKeys(prefix: string, source: Named, layout: Layout): string[] {
  const { key, etag } = olderName(source)
  return [`${folder(prefix, key, LONGEST_OLDER)}${olderPart(etag)}-${layoutName(layout)}.png`]
}

/** The folder of all cutouts of a source, with its last slash. */
export function cutoutFolder(prefix: string, key: string): string {
  return folder(prefix, key, LONGEST_FILE)
}

/** The same folder, and the one before 1.0 if it was another. */
export function cutoutFolders(prefix: string, key: string): string[] {
  return [...new Set([cutoutFolder(prefix, key), folder(prefix, key, LONGEST_OLDER)])]
}

function folder(prefix: string, key: string, longest: number): string {
  const spelt = `${prefix}${escapeKey(key)}/`
  if (spelt.length + longest <= MAX_CUTOUT_KEY) return spelt
  // `_long` cannot come from escaping, which writes `_` only before two hex digits. A hash cannot be read back, but each photo
  // still has one folder.
  return `${prefix}_long/${sha256(key)}/`
}

/** What the folders of all photos of a folder begin with, but for those whose keys are too long to be spelt. */
export function cutoutFolderOf(prefix: string, folder: string): string {
  // Only a last slash is escaped, and here something follows.
  return prefix + escapeKey(`${folder}x`).slice(0, -1)
}

/**
 * The key of the source whose folder this is, with its last slash: the inverse of `cutoutFolders`. Undefined if it is none, and
 * of a key that was too long to be spelt.
 */
export function sourceKey(prefix: string, folder: string): string | undefined {
  const spelt = folder.slice(prefix.length, -1).replaceAll('_', '%')
  const key = quietly(() => decodeURIComponent(spelt))
  return key !== undefined && cutoutFolders(prefix, key).includes(folder) ? key : undefined
}

/** The part of a cutout's name that comes from its source's ETag: the whole ETag, or the SHA-256 of one in an unknown form. */
export function etagPart(etag: string): string {
  return new RegExp(`^(${ETAG})$`).test(etag) ? etag : sha256(etag)
}

/** The same before 1.0. */
export function olderPart(etag: string): string {
  return etag.replace(/\W/g, '').slice(0, 16)
}

/** Whether a cutout's or mark's version, in either form, is that of this ETag. */
export function isVersionOf(version: string, etag: string): boolean {
  return version === etagPart(etag) || version === olderPart(etag)
}

/**
 * The key of what belongs to a cutout: a view such as `card.webp`, or the ground. `name` is one of [a-z0-9-], at most 80, and
 * an ending. Where that is too long for a key, a hash takes the place of the name.
 */
export function besideCutout(cutout: string, name: string): string {
  const key = (name: string) => `${cutout.replace(/\.png$/, '')}/${name}`
  if (key(name).length <= MAX_KEY) return key(name)
  // With the longest cutout's key and ending, so many digits fit.
  return key(sha256(name).slice(0, 28) + name.slice(name.lastIndexOf('.')))
}

/** The folder of the records that remember the frames of cutouts. */
export const FRAMES = `${RECORDS}frames/`

/** The key of the record that remembers a cutout's frame. */
export function frameKey(cutout: string): string {
  return `${FRAMES}${cutout}.json`
}

/**
 * The version of the source that a cutout was made of, by its name within the folder. The same for what belongs to the cutout;
 * undefined for anything else.
 */
export function versionIn(name: string): string | undefined {
  return NAME.exec(name)?.[1]
}

/** What the key of something made of a source tells. */
export interface Place {
  /** With its last slash. */
  folder: string
  version: string
  /** Whether it is a cutout itself. */
  isWhole: boolean
}

/** Reads the key of a cutout, or of what belongs to one; undefined of any other key. */
export function splitCutout(key: string): Place | undefined {
  const found = KEY.exec(key)
  if (found?.[1] === undefined) return undefined
  const folder = key.slice(0, found.index + 1)
  return { folder, version: found[1], isWhole: !key.includes('/', folder.length) }
}

/**
 * Whether a key has the form of a cutout's, or of what belongs to one, under any prefix. Such a key is never a source. So no configuration, not even one
 * whose CUTOUT_PREFIX was changed yesterday, lets the functions cut out their own cutouts.
 */
export function isCutout(key: string): boolean {
  return KEY.test(key)
}

/**
 * Writes bytes outside [A-Za-z0-9./-] as _XX, and also the dot of `..`, the second slash of `//`, a leading dot or slash, and a
 * last slash: URL normalisation and CDNs would turn these into the address of another object.
 */
function escapeKey(key: string): string {
  return key.replace(/[^A-Za-z0-9./-]|(?<=^|[./])\.|(?<=^|\/)\/|\/$/gu, (match) =>
    [...Buffer.from(match)].map((byte) => `_${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
