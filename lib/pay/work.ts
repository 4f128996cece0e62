import type { Cos } from '../cos.ts'
import { cutoutKey, olderKeys } from '../cutout.ts'
import type { Invocation } from '../invocation.ts'
import { type Layout, layoutName } from '../layout.ts'
import { isBlank } from './blank.ts'

/** A photo as HEAD saw it, or a picture elsewhere. */
export interface Source {
  /** Of a picture elsewhere, its name. */
  key: string
  etag: string
  size: number
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified?: number
  /** Of a picture elsewhere: where the vendor is to fetch it. */
  url?: string
  /** The same: the URL that was asked for, and its version as keys had it before 1.0. Secret, and never stored. */
  asked?: { url: string; version: string }
}

/** A cutout that is asked for. */
export interface Wanted {
  key: string
  layout: Layout
  /** The layout's short name. */
  name: string
  /** Where else it may lie, if it was made since then. */
  older: readonly string[]
  since: number
}

/** A cutout that is there. */
export interface Found extends Wanted {
  /** Bytes. */
  size: number
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
    // Of a photo that is still to be stored none can have been made.
    return { key, layout, name, older: since === undefined ? [] : olderKeys(prefix, source, layout), since: since ?? 0 }
  })
}

/**
 * Which of the cutouts are there. The look at one is a GET of its first bytes instead of a HEAD, for no further request: they tell
 * whether it is blank.
 */
export async function find<T extends Wanted>(
  store: Cos,
  wanted: readonly T[],
): Promise<{ found: (T & Found)[]; missing: T[] }> {
  const looks = await Promise.all(
    wanted.map(async (one) => {
      for (const key of [one.key, ...one.older]) {
        const cutout = await store.pieces(key)
        // What lies under an older key may have been made of another version.
        if (!cutout || (key !== one.key && cutout.modified < one.since)) continue
        return { ...one, key, size: cutout.size, blank: await isBlank(cutout.pieces) }
      }
      return undefined
    }),
  )
  // Older keys are looked at once, for nobody writes there any more.
  const missing = wanted.filter((_, i) => !looks[i]).map((one) => ({ ...one, older: [] }))
  return { found: looks.filter((one) => one !== undefined), missing }
}

/** Whether the photo that was seen lies there still. With `exactly`, it was not put again since either. */
export async function isThere(cos: Cos, { key, etag, modified }: Source, exactly: boolean): Promise<boolean> {
  const head = await cos.head(key)
  // Another photo may have come and gone meanwhile: then only the date tells.
  return head?.etag === etag && (!exactly || modified === undefined || head.modified === modified)
}
