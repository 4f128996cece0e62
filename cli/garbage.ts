import type { Config } from '../lib/config.ts'
import {
  cutoutFolder,
  cutoutFolders,
  frameKey,
  isVersionOf,
  type Place,
  RECORDS,
  sourceKey,
  splitCutout,
} from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { failureFolders, splitMark } from '../lib/pay/pay.ts'
import { refuseKey } from '../lib/source.ts'
import { findPhotos } from './photos.ts'

export const KINDS = ['replaced', 'deleted', 'marks', 'frames', 'claims', 'receipts', 'notes'] as const
/**
 * `replaced` and `deleted`: cutouts and what belongs to them, of photos that were; `marks` of the same; `frames` without their
 * cutout; `notes`: since when a photo is gone, where that does not matter any more.
 */
export type Kind = (typeof KINDS)[number]

/** An object that may go. */
export interface Garbage {
  kind: Kind
  key: string
  /** Bytes. */
  size: number
  /** Since when it is of no use, in milliseconds since the epoch. */
  since: number
  /** The folder of its photo; '' if it has none. */
  folder: string
  /** The key of a record that goes with it, if there is one. */
  record?: string | undefined
  /** Whether it is still of no use; asked right before it is deleted. */
  check(): Promise<boolean>
}

/** Why an object stays: it may go when it is older; its photo is noted as gone only now; its photo cannot be looked for. */
export type Kept = 'young' | 'unnoted' | 'foreign'

/** How old each must be, in milliseconds. */
export interface Ages {
  cutouts: number
  claims: number
  receipts: number
}

/** What a walk tells beside the garbage. */
export interface Witness {
  kept(why: Kept): void
  /** Of how many photos something is stored that are there, and that are gone. */
  photos(there: number, gone: number): void
  /** Photos that are gone are noted, if it is set. */
  note: boolean
}

/** An object that was made of a photo. */
interface Made extends Place {
  source: string
  key: string
  size: number
  written: number
}

export const DAY = 86_400_000
const NOTES = `${RECORDS}gone/`
const BATCH = 1_000
/** HTTP dates have whole seconds, and a request takes its time; in milliseconds. */
const MARGIN = 60_000

/**
 * How long a redirect to a cutout may be followed after its photo was replaced: it is remembered and cached for REDIRECT_TTL,
 * shown once more for as long while it is asked for again, and its URL lives for two URL_WINDOWs.
 */
export function redirectLife({ redirectTtl, urlWindow }: Config): number {
  return (2 * redirectTtl + 2 * urlWindow) * 1000 + MARGIN
}

/** The record that notes since when a photo is gone, by the time when it was written. */
export function noteKey(prefix: string, source: string): string {
  return `${NOTES}${cutoutFolder(prefix, source).slice(0, -1)}.json`
}

/** @throws MattingError misconfigured, if there is no photo at all, so that every cutout would look like garbage */
export async function checkPhotos({ config, cos }: Invocation): Promise<void> {
  for (const prefix of config.sourcePrefixes) for await (const _ of cos.list(prefix)) return
  throw new MattingError(
    'misconfigured',
    `There is no photo in ${config.sourcePrefixes.join(', ')} of ${config.bucket}. Is that the right bucket? If all photos were deleted, purge takes away what was made of them.`,
  )
}

/** Goes through what was made of photos, and finds what was made of others than those that are there. */
export async function* ofPhotos(
  { config, cos, store }: Invocation,
  ages: Ages,
  { kept, photos, note }: Witness,
  prefix: string,
  split: typeof splitCutout,
): AsyncGenerator<Garbage> {
  const { cutoutPrefix, sourcePrefixes } = config
  const ask = async (made: Made): Promise<Garbage | undefined> => {
    const { source, version, isWhole, key, size, written } = made
    const folder = source.slice(0, source.lastIndexOf('/') + 1)
    const photo = there.get(source)
    if (photo && isVersionOf(version, photo.etag)) return undefined
    const noted = photo ? undefined : await gone(source)
    const from = photo?.modified ?? noted
    if (from === undefined) return void kept('unnoted')
    // It may have been made, or shown in a new way, by somebody who had seen the photo before.
    const since = Math.max(from, written)
    if (store.clock() - since < ages.cutouts) return void kept('young')
    const check = async () => {
      const head = await cos.head(source)
      if (head) return !isVersionOf(version, head.etag) && store.clock() - head.modified >= ages.cutouts
      // HEAD answers 404 for a missing bucket as well, this GET does not.
      if (await cos.pieces(source)) return false
      return noted !== undefined && (await store.head(noteKey(cutoutPrefix, source)))?.modified === noted
    }
    if (prefix !== cutoutPrefix) return { kind: 'marks', key, size, since, folder, check }
    const record = isWhole ? frameKey(key) : undefined
    return { kind: photo ? 'replaced' : 'deleted', key, size, since, folder, record, check }
  }
  /** Since when a photo that is not there is known to be gone. */
  const gone = async (source: string) => {
    if (!notes.has(source)) {
      const record = noteKey(cutoutPrefix, source)
      const noted = (await store.head(record))?.modified
      if (noted === undefined && note) await store.put(record, '{}', { type: 'application/json' })
      notes.set(source, noted)
    }
    return notes.get(source)
  }
  let there = new Map<string, { etag: string; modified: number }>()
  const notes = new Map<string, number | undefined>()
  for await (const batch of batches(madeOf(store.list(prefix)))) {
    const sources = new Set(batch.map(({ source }) => source))
    there = await findPhotos(cos, sourcePrefixes, sources)
    notes.clear()
    photos(there.size, sources.size - there.size)
    for (const made of batch) {
      const garbage = await ask(made)
      if (garbage) yield garbage
    }
  }

  async function* madeOf(objects: ReturnType<typeof store.list>): AsyncGenerator<Made> {
    for await (const { key, size, written } of objects) {
      const place = split(key)
      if (!place) continue
      const source = sourceKey(cutoutPrefix, place.folder)
      // A picture elsewhere, a photo of a folder that is no source folder now, or a key too long to be read back.
      if (source === undefined || refuseKey(source, sourcePrefixes) !== undefined) kept('foreign')
      else yield { ...place, source, key, size, written }
    }
  }
}

export async function* batches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Notes of photos that are there again, and of those of which nothing is left. */
export async function* oldNotes({ config, cos, store }: Invocation): AsyncGenerator<Garbage> {
  const { cutoutPrefix: prefix, sourcePrefixes } = config
  for await (const batch of batches(store.list(NOTES + prefix))) {
    const noted = batch.flatMap((object) => {
      const source = sourceKey(prefix, `${object.key.slice(NOTES.length, -'.json'.length)}/`)
      return source === undefined || refuseKey(source, sourcePrefixes) !== undefined ? [] : [{ ...object, source }]
    })
    const there = await findPhotos(
      cos,
      sourcePrefixes,
      noted.map(({ source }) => source),
    )
    for (const { key, size, written: since, source } of noted) {
      if (!there.has(source) && !(await isBare(source))) continue
      const folder = source.slice(0, source.lastIndexOf('/') + 1)
      yield { kind: 'notes', key, size, since, folder, check: async () => true }
    }
  }

  async function isBare(source: string): Promise<boolean> {
    for (const folder of [...cutoutFolders(prefix, source), ...failureFolders(prefix, source)]) {
      const split = folder.startsWith(prefix) ? splitCutout : splitMark
      // Inside the folder of `a.jpg` there may be that of `a.jpg/b.jpg`.
      for await (const { key } of store.list(folder)) {
        const place = split(key)
        if (place && folder.endsWith(place.folder)) return false
      }
    }
    return true
  }
}
