import type { Cos } from '../cos.ts'
import { cutoutKey, olderKeys } from '../cutout.ts'
import type { Invocation } from '../invocation.ts'
import { type Layout, layoutName } from '../layout.ts'
import { inspect } from './blank.ts'

/** A photo as HEAD saw it, or a picture elsewhere: one on another host, asked for by its URL (DETECT_HOSTS). */
export interface Source {
  /** The key, or the name of a picture elsewhere. */
  key: string
  etag: string
  size: number
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified?: number
  /** Only of a picture elsewhere: the URL where the vendor fetches it. */
  url?: string
  /**
   * Only of a picture elsewhere: the requested URL and a hash of what its host told of the version, by which the keys of its
   * cutouts were made before 1.0. Secret, and never stored.
   */
  asked?: { url: string; version: string }
}

/** A cutout that is asked for. */
export interface Wanted {
  key: string
  layout: Layout
  /** The layout's short name. */
  name: string
  /** Keys that it may have from before 1.0. What lies there counts only if it was stored at `since` or later. */
  older: readonly string[]
  /** When the source was stored, by COS's clock, in milliseconds since the epoch; 0 if that is not known. */
  since: number
}

/** A cutout that is there. */
export interface Found extends Wanted {
  /** Bytes. */
  size: number
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified: number
  /** In pixels, if it is a PNG that can be read here. */
  width?: number
  height?: number
  blank: boolean
}

/** The cutouts of a source in these layouts, each once. */
export function wantedCutouts(
  { config }: Pick<Invocation, 'config'>,
  source: Source,
  layouts: readonly Layout[],
): Wanted[] {
  const { cutoutPrefix: prefix } = config
  const { modified: since } = source
  const named = new Map(layouts.map((layout) => [layoutName(layout), layout]))
  return [...named].map(([name, layout]) => {
    const key = cutoutKey(prefix, source, layout)
    // An older key counts only if it was written after its photo was stored, so never for a photo that is still to come.
    return { key, layout, name, older: since === undefined ? [] : olderKeys(prefix, source, layout), since: since ?? 0 }
  })
}

/**
 * Finds which of the cutouts are there. It asks for each with a GET of its first bytes, not with a HEAD, because the bytes also
 * tell whether it is blank.
 */
export async function find<T extends Wanted>(
  store: Cos,
  wanted: readonly T[],
): Promise<{ found: (T & Found)[]; missing: T[] }> {
  const looks = await Promise.all(
    wanted.map(async (one) => {
      for (const key of [one.key, ...one.older]) {
        const cutout = await store.pieces(key)
        // An object with an older key may have been made of another version.
        if (!cutout || (key !== one.key && cutout.modified < one.since)) continue
        return { ...one, key, size: cutout.size, modified: cutout.modified, ...(await inspect(cutout.pieces)) }
      }
      return undefined
    }),
  )
  // Older keys are asked for only once, because nobody writes there any more.
  const missing = wanted.filter((_, i) => !looks[i]).map((one) => ({ ...one, older: [] }))
  return { found: looks.filter((one) => one !== undefined), missing }
}

/** Whether the photo that was seen is still there; with `exactly`, also whether it was not stored again since. */
export async function isThere(cos: Cos, { key, etag, modified }: Source, exactly: boolean): Promise<boolean> {
  const head = await cos.head(key)
  // Another photo may have been there in between; then only the date tells.
  return head?.etag === etag && (!exactly || modified === undefined || head.modified === modified)
}
