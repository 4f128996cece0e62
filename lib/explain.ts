import type { ObjectHead } from './cos.ts'
import { layoutsOf, refuseHead } from './cut.ts'
import { cutoutFolders, etagPart, versionIn } from './cutout.ts'
import { MattingError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { layoutName } from './layout.ts'
import { failureFolders, type Report, report } from './pay/pay.ts'
import type { UploadLayout } from './preset.ts'
import { type Reason, say } from './reason.ts'
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
  reason: Reason
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
  if (gate) return { key, ...nothing, made: [], marks: [], ...because({ code: 'skipped', why: gate }) }
  const photo = await cos.head(key)
  // HEAD answers 404 for a missing bucket, too.
  if (!photo) await cos.get(key)
  const made = await listMade(invocation, key, photo)
  const marks = await listMarks(invocation, key)
  const about = { key, ...(photo && { photo }), made, marks }
  if (!photo) {
    const { bucket } = config
    return { ...about, ...nothing, ...because({ code: 'no-photo', bucket, former: made.length > 0 }) }
  }
  const refused = refuseHead(key, photo, config)
  if (refused) return { ...about, ...nothing, ...because({ code: 'skipped', why: refused }) }
  let layouts: readonly UploadLayout[]
  try {
    layouts = layoutsOf(key, photo, config)
  } catch (error) {
    if (!(error instanceof MattingError)) throw error
    const presets = [...config.presets.keys()]
    return { ...about, ...nothing, ...because({ code: 'no-preset', named: `${photo.matting}`, presets }) }
  }
  const source = { key, etag: photo.etag, size: photo.size, modified: photo.modified }
  const told = await report(invocation, source, layouts)
  const { attempts, receipts, found } = told
  const missing = told.missing.map(({ name }) => name)
  const isAllowed = told.refusal === undefined
  const more = { layouts: layouts.map(layoutName), missing, attempts, receipts, isAllowed }
  const isThere = isAllowed && missing.length === 0
  const reason: Reason = isThere
    ? { code: 'there', layouts: found.map(({ name }) => name) }
    : reasonOf(told, missing, known, made)
  return { ...about, ...more, ...because(reason) }
}

function because(reason: Reason): Pick<Explanation, 'reason' | 'why' | 'advice'> {
  return { reason, ...say(reason) }
}

/** Why a photo that may be cut out has no cutout. */
function reasonOf(
  { refusal, attempts }: Report,
  layouts: string[],
  { isWaiting, givenUp, hasTrigger }: Known,
  made: readonly Made[],
): Reason {
  const last = attempts.findLast(({ current }) => current)
  if (refusal) return { code: 'refused', error: refusal.code, message: refusal.message }
  if (last?.standing === 'held') return { code: 'held', layouts, asker: last.asker, until: iso(last.until) }
  if (givenUp !== undefined) return { code: 'given-up', message: givenUp }
  if (isWaiting) return { code: 'waiting' }
  if (last) {
    const { asker, written, failure } = last
    return { code: 'tried', asker, at: iso(written), ...(failure && { failure }) }
  }
  const former = made.some(({ current, beside }) => !current && !beside)
  return { code: 'untried', layouts, ...(hasTrigger !== undefined && { hasTrigger }), former }
}

function iso(time: number): string {
  return new Date(time).toISOString().replace('.000', '')
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
