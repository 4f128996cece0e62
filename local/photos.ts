import type { Config } from '../lib/config.ts'
import { createCos } from '../lib/cos.ts'
import { cutoutFolders, etagPart, olderPart, versionIn } from '../lib/cutout.ts'
import { codes } from '../lib/errors.ts'
import { layoutName } from '../lib/layout.ts'
import { failureFolders } from '../lib/pay/pay.ts'
import { refuseKey, refuseObject } from '../lib/source.ts'
import type { Configured } from './configured.ts'
import type { Cos, Stored } from './cos/cos.ts'
import { DELIVERY } from './grant.ts'
import type { Cutout, Photo, Photos } from './page/wire.ts'
import type { Scf } from './scf/scf.ts'
import { Refused } from './upload.ts'

export interface PhotosOptions {
  cos: Cos
  scf: Pick<Scf, 'pending' | 'keyOf' | 'isRemoval'>
  cosUrl: string
  configured: Configured
  now: () => number
}

const [PAGE, LONGEST_PAGE] = [60, 500]
/** So long all URLs of a photo are the same, in seconds. */
const WINDOW = 900
const SMALL = 'imageMogr2/auto-orient/thumbnail/640x640>/format/jpg/quality/80'
/** The vendor processes no larger photo, in bytes. */
const MAX_SMALL = 32 * 1024 * 1024

/** The photos of the bucket with their cutouts, read where they are stored, so that to look at them makes no request. */
export function createPhotos({ cos, scf, cosUrl, configured, now }: PhotosOptions) {
  const time = { deadline: 0, now, random: Math.random }
  const signer = createCos({ endpoint: cosUrl, credentials: DELIVERY, ...time })

  function* under(bucket: string, start: string): Generator<Stored> {
    for (const stored of cos.objects.from(bucket, start)) {
      if (!stored.key.startsWith(start)) return
      yield stored
    }
  }

  /** All source photos, the newest first. */
  function sources({ bucket, sourcePrefixes }: Config): Stored[] {
    const folders = sourcePrefixes.filter((one) => !sourcePrefixes.some((two) => one !== two && one.startsWith(two)))
    const all = folders.flatMap((folder) => [...under(bucket, folder)])
    return all.filter((stored) => isPhoto(stored, sourcePrefixes)).sort(byAge)
  }

  function cutoutsOf({ cutoutBucket, cutoutPrefix, presets }: Config, { key, etag, modified }: Stored): Cutout[] {
    const starts = cutoutFolders(cutoutPrefix, key).map((folder) => ({
      folder,
      versions: [etagPart(etag), olderPart(etag)],
    }))
    const found = new Map<string, Cutout>()
    for (const { folder, versions } of starts) {
      for (const one of under(cutoutBucket, folder + olderPart(etag))) {
        const name = one.key.slice(folder.length)
        const version = versionIn(name)
        // What lies in a folder of a cutout are views of it. A short version may be that of another photo.
        if (name.includes('/') || version === undefined || !versions.includes(version)) continue
        if (version !== versions[0] && one.modified < modified) continue
        const layout = name.slice(version.length + 1, -'.png'.length)
        const text = textOf(layout, presets)
        found.set(layout, { layout, text, key: one.key, size: one.size, modified: iso(one.modified) })
      }
    }
    return [...found.values()]
  }

  function markOf({ cutoutBucket, cutoutPrefix }: Config, { key, etag }: Stored): Photo['mark'] {
    for (const folder of failureFolders(cutoutPrefix, key)) {
      for (const { key: mark } of under(cutoutBucket, folder + etagPart(etag))) {
        const [, code = ''] = /\.([a-z-]+)\.json$/.exec(mark.slice(folder.length)) ?? []
        const { message } = codes.get(code) ?? {}
        if (message !== undefined) return { code, message }
      }
    }
    return undefined
  }

  /** The keys of the photos whose events are waiting or being handled. */
  function awaited(): Set<string> {
    const arrivals = scf.pending().filter(({ event }) => !scf.isRemoval(event))
    return new Set(arrivals.map(({ event }) => scf.keyOf(event)))
  }

  function describe(config: Config, stored: Stored, waiting: Set<string>): Photo {
    const { key, etag, size, modified, headers } = stored
    const seconds = Math.floor(now() / 1000)
    const start = seconds - (seconds % WINDOW)
    // A browser shows what it has of a URL, so another version of the photo has another one. COS does not read the parameter.
    const sign = (query?: Record<string, string>) =>
      signer.presign(key, start - 300, start + 2 * WINDOW, { query: { ...query, version: etag } })
    const mark = markOf(config, stored)
    const photoUrl = sign()
    return {
      key,
      etag,
      size,
      modified: iso(modified),
      type: headers['Content-Type'] ?? '',
      photoUrl,
      small: size > MAX_SMALL ? photoUrl : sign({ [SMALL]: '' }),
      cutouts: cutoutsOf(config, stored),
      waiting: waiting.has(key),
      ...(mark && { mark }),
    }
  }

  return {
    /** A page of them. @param after as the page before said @throws Refused */
    list(after: string, limit: number): Photos {
      const config = configured.upload()
      if (!config) return { photos: [] }
      const most = Math.min(Math.max(1, Math.floor(limit) || PAGE), LONGEST_PAGE)
      const waiting = awaited()
      // That photo itself may be gone meanwhile.
      const [found, modified = Number.POSITIVE_INFINITY, key = ''] = /^(\d+) (.*)$/s.exec(after) ?? []
      if (!found && after !== '') throw new Refused(400, 'after: expected what the page before said')
      const last = { modified: Number(modified), key }
      const rest = sources(config).filter((stored) => byAge(last, stored) < 0)
      const photos = rest.slice(0, most)
      const end = rest.length > most ? photos.at(-1) : undefined
      return {
        photos: photos.map((stored) => describe(config, stored, waiting)),
        ...(end && { after: `${end.modified} ${end.key}` }),
      }
    },

    /** Undefined if there is no such photo. */
    one(key: string): Photo | undefined {
      const config = configured.upload()
      const stored = config && cos.objects.get(config.bucket, key)
      return stored && isPhoto(stored, config.sourcePrefixes) ? describe(config, stored, awaited()) : undefined
    },
  }
}

function isPhoto({ key, size, headers }: Stored, prefixes: readonly string[]): boolean {
  return (
    refuseKey(key, prefixes) === undefined &&
    refuseObject(key, { size, type: headers['Content-Type'] ?? '' }) === undefined
  )
}

/** `c1-p20x10` → `card`, or else `center-layout=1,padding-layout=20x10` */
function textOf(short: string, presets: Config['presets']): string {
  const [named] = [...presets].find(([, { layout }]) => layoutName(layout) === short) ?? []
  const [, center, padding] = /^(c1)?-?(?:p(.+))?$/.exec(short) ?? []
  return named ?? [center && 'center-layout=1', padding && `padding-layout=${padding}`].filter(Boolean).join(',')
}

/** The newest first; of one moment, in the order of their keys. */
function byAge(a: Pick<Stored, 'key' | 'modified'>, b: Pick<Stored, 'key' | 'modified'>): number {
  return b.modified - a.modified || (a.key < b.key ? -1 : Number(a.key > b.key))
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
