import type { ObjectHead } from './cos.ts'
import { layoutsOf, refuseHead } from './cut.ts'
import { cutoutFolders, etagPart, versionIn } from './cutout.ts'
import { MattingError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { layoutName } from './layout.ts'
import { failureFolders, type Report, report } from './pay/pay.ts'
import type { UploadLayout } from './preset.ts'
import { refuseKey } from './source.ts'

/** An object that was made of a photo: a cutout, or what belongs to one. */
export interface Made {
  key: string
  layout: string
  /** Whether it is of the photo that is there now. */
  current: boolean
  /** A view or a ground, kept beside a cutout. */
  beside: boolean
  size: number
  written: number
}

/** All that is known of a photo and its cutouts. */
export interface Explanation {
  key: string
  /** What is in the bucket; undefined if nothing is. */
  photo?: ObjectHead
  /** The short names of the layouts that are made of it at upload. */
  layouts: string[]
  made: Made[]
  /** Codes that forbid to cut it out, or one layout of it, until it changes. */
  marks: { name: string; written: number }[]
  attempts: Report['attempts']
  receipts: Report['receipts']
  /** Those of them whose cutouts are missing. */
  missing: string[]
  /** Whether an event would have it cut out, or find it cut out. */
  isAllowed: boolean
  /** Why there is no cutout, or that there is one, in one sentence. */
  why: string
  /** What can be done, in one sentence. */
  advice?: string
}

/** What a platform tells of an event about the photo; where nothing is known, nothing is said of it. */
export interface Known {
  /** Its event is waiting or being handled. */
  isWaiting?: boolean
  /** Its event was given up, and why. */
  givenUp?: string
  /** Whether a trigger gives the function what arrives there. */
  hasTrigger?: boolean
}

/**
 * Says why a photo has no cutout, by what decides it in the functions. Asks for much, so it is for people; pays nothing.
 * @throws MattingError unavailable, denied, misconfigured: there is no such bucket
 */
export async function explain(invocation: Invocation, key: string, known: Known = {}): Promise<Explanation> {
  const { config, cos } = invocation
  const nothing = { layouts: [], missing: [], attempts: [], receipts: [], isAllowed: false }
  const gate = refuseKey(key, config.sourcePrefixes)
  if (gate) return { key, ...nothing, made: [], marks: [], why: sentence(gate), ...adviceFor(gate) }
  const photo = await cos.head(key)
  // HEAD answers 404 for a missing bucket, too.
  if (!photo) await cos.get(key)
  const made = await listMade(invocation, key, photo)
  const marks = await listMarks(invocation, key)
  const about = { key, ...(photo && { photo }), made, marks }
  if (!photo) {
    const left = made.length > 0 ? ' Cutouts of a former photo are still there.' : ''
    return { ...about, ...nothing, why: `There is no such photo in ${config.bucket}.${left}` }
  }
  const refused = refuseHead(key, photo, config)
  if (refused) return { ...about, ...nothing, why: sentence(refused), ...adviceFor(refused) }
  let layouts: readonly UploadLayout[]
  try {
    layouts = layoutsOf(key, photo, config)
  } catch (error) {
    const why = `It has none because its metadata names a preset that does not exist: ${photo.matting}.`
    if (!(error instanceof MattingError)) throw error
    return { ...about, ...nothing, why, advice: `The presets are ${[...config.presets.keys()].join(', ')}.` }
  }
  const source = { key, etag: photo.etag, size: photo.size, modified: photo.modified }
  const told = await report(invocation, source, layouts)
  const { attempts, receipts, found } = told
  const missing = told.missing.map(({ name }) => name)
  const isAllowed = told.refusal === undefined
  const more = { layouts: layouts.map(layoutName), missing, attempts, receipts, isAllowed }
  if (isAllowed && missing.length === 0)
    return { ...about, ...more, why: `It has its cutout: ${found.map(({ name }) => name).join(', ')}.` }
  return { ...about, ...more, ...reason(told, known, made) }
}

/** Why a photo that may be cut out has no cutout. */
function reason(
  { refusal, attempts, missing }: Report,
  { isWaiting, givenUp, hasTrigger }: Known,
  made: readonly Made[],
): Pick<Explanation, 'why' | 'advice'> {
  const last = attempts.findLast(({ current }) => current)
  const layouts = missing.map(({ name }) => name).join(', ')
  if (refusal) return { why: `It has none because of ${refusal.code}: ${refusal.message}`, ...adviceFor(refusal.code) }
  if (last?.standing === 'held')
    return {
      why: `It is being made (${layouts}): the right to pay was claimed for ${forWhom(last.asker)} and ends ${iso(last.until)}.`,
      advice: 'Look again then; if nothing was made, the next event or request claims another attempt.',
    }
  if (givenUp !== undefined)
    return {
      why: `It has none because its event was given up: ${givenUp}`,
      advice: '`replay` delivers it again, once the cause is mended.',
    }
  if (isWaiting) return { why: 'It has none yet: its event is waiting, or being handled.' }
  if (last)
    return {
      why: `It has none: the last attempt, for ${forWhom(last.asker)} ${iso(last.written)}, made nothing${last.failure ? ` (${last.failure})` : ''}.`,
      advice: 'The next event or request for it makes it; `backfill run` does so for all.',
    }
  const before = made.some(({ current, beside }) => !current && !beside)
    ? ' There are cutouts of the photo that it has replaced.'
    : ''
  const trigger = hasTrigger === false ? ', and no trigger gives the function what arrives in this folder' : ''
  return {
    why: `It has none (${layouts}) because nobody has tried in the last day: no event came for it, and nobody asked for its URL${trigger}.${before}`,
    advice:
      hasTrigger === false
        ? '`deploy` makes the trigger; `backfill run` cuts out what is there already.'
        : '`doctor` says whether the trigger is right; `backfill run` cuts out what is there already.',
  }
}

function forWhom(asker: string): string {
  return { trigger: 'an upload', url: 'an image URL', presigned: 'a presigned upload' }[asker] ?? asker
}

function iso(time: number): string {
  return new Date(time).toISOString().replace('.000', '')
}

const WORDS: Readonly<Record<string, string>> = {
  'not in a source folder': 'it does not lie in a source folder',
  'a cutout': 'it is itself a cutout, or has the name of one',
  'too long a key': 'its key is longer than COS allows',
  empty: 'it is empty',
  'not an image by its type and name': 'neither its type nor its name is that of a picture which the vendor reads',
  'off by its metadata': 'its own metadata say so (x-cos-meta-matting: off)',
  'no layouts for its folder': 'ON_UPLOAD names no layouts for its folder',
}

function sentence(why: string): string {
  return `It has none because ${WORDS[why] ?? why}.`
}

/** What an operator can do about a reason or a code. */
const ADVICE: Readonly<Record<string, string>> = {
  'not in a source folder': 'SOURCE_PREFIXES names the source folders; a key begins with one, and has no / in front.',
  'not an image by its type and name': 'Store it as image/jpeg, image/png, image/webp or image/bmp.',
  'no layouts for its folder': 'Name some in ON_UPLOAD, or ask for its URL with a layout.',
  'off by its metadata': 'Store it again without that metadata.',
  'too-large': 'Store a smaller one, or raise MAX_SOURCE_BYTES up to what the vendor takes.',
  'not-an-image': 'Store it again; until it changes, the vendor is not asked again.',
  'no-product': 'Store another photo; until it changes, the vendor is not asked again.',
  refused: 'Store it again; `purge` removes the mark and lets the vendor be asked once more.',
  'limit-reached': 'DAILY_LIMIT starts anew at midnight, UTC; `backfill run` makes what was missed.',
  'changing-too-fast': 'Somebody stores it again and again; after a minute of rest it is cut out.',
  denied: '`doctor` says what is missing: the role, Cloud Infinite, or AI recognition.',
  misconfigured: '`doctor` says what is wrong.',
}

function adviceFor(why: string): { advice?: string } {
  return ADVICE[why] === undefined ? {} : { advice: ADVICE[why] }
}

/** The cutouts of all versions, with what lies beside them. */
async function listMade({ config, store }: Invocation, key: string, photo: ObjectHead | undefined): Promise<Made[]> {
  const made: Made[] = []
  for (const folder of cutoutFolders(config.cutoutPrefix, key)) {
    for await (const object of store.list(folder)) {
      const name = object.key.slice(folder.length)
      const version = versionIn(name)
      // Inside the folder of `a.jpg` there may be that of a photo `a.jpg/b.jpg`.
      if (version === undefined) continue
      const layout = /^[\da-f]+(?:-\d{1,5})?-([a-z][a-z\d-]*)/.exec(name)?.[1] ?? ''
      const current = photo !== undefined && etagPart(photo.etag).startsWith(version)
      made.push({
        key: object.key,
        layout,
        current,
        beside: name.includes('/'),
        size: object.size,
        written: object.written,
      })
    }
  }
  return made
}

async function listMarks({ config, store }: Invocation, key: string): Promise<Explanation['marks']> {
  const marks: Explanation['marks'] = []
  for (const folder of failureFolders(config.cutoutPrefix, key)) {
    for await (const { key, written } of store.list(folder)) {
      const name = key.slice(folder.length)
      if (!name.includes('/')) marks.push({ name, written })
    }
  }
  return marks
}
