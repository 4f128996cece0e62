import type { Cos } from '../cos.ts'
import { cutoutFolders, etagPart, type Named, olderName, olderPart, type Place, RECORDS } from '../cutout.ts'
import { isCode, isFinal, MattingError } from '../errors.ts'

interface Version extends Named {
  /** When it was stored; milliseconds since the epoch, by COS's clock. */
  modified?: number
}

/** The folder of all failures that are noted; within it lie the folders of the photos, as those of their cutouts do. */
export const FAILURES = `${RECORDS}failed/`

/** The folders of the failures noted for the versions of a photo. New ones are written to the first folder. */
export function failureFolders(prefix: string, key: string): string[] {
  return cutoutFolders(prefix, key).map((folder) => FAILURES + folder)
}

/** The folder of a mark, as that of the cutouts, and the version that it is about; undefined if it is no mark. */
export function splitMark(key: string): Place | undefined {
  const end = key.lastIndexOf('/') + 1
  const version = MARK.exec(key.slice(end))?.[1]
  return version === undefined ? undefined : { folder: key.slice(FAILURES.length, end), version, isWhole: false }
}

/**
 * Notes that a photo cannot be cut out, at all or in one layout, so that the vendor is not asked again until it changes. All
 * that is read again is in the name, `<ETag>[-<layout>].<code>.json`; the content is for people.
 */
export async function writeFailure(
  cos: Cos,
  prefix: string,
  { key, etag }: Version,
  { code, message }: MattingError,
  layout?: string,
): Promise<void> {
  const [folder = ''] = failureFolders(prefix, key)
  const name = `${etagPart(etag)}${layout ? `-${layout}` : ''}.${code}.json`
  const text = JSON.stringify({ code, message, at: new Date(cos.clock()).toISOString(), key, etag, layout })
  await cos.put(folder + name, text, { type: 'application/json' })
}

/** @throws MattingError the noted reason why this version of a photo cannot be cut out in one of the layouts. Takes one LIST */
export async function checkFailure(
  cos: Cos,
  prefix: string,
  source: Version,
  layouts: readonly string[],
): Promise<void> {
  const { asked, modified = Number.POSITIVE_INFINITY } = source
  const former = olderName(source)
  const [version, older] = [etagPart(source.etag), olderPart(former.etag)]
  const keys = [...new Set([source.key, former.key])]
  for (const start of starts(prefix, keys, [older, version])) {
    for await (const found of cos.list(start)) {
      const [, marked, layout, code] = MARK.exec(found.key.slice(start.lastIndexOf('/') + 1)) ?? []
      // Before 1.0 a mark had 16 digits of the ETag, so it may be about another version with the same digits. And a picture
      // elsewhere was marked even if only its host had failed.
      const olderCounts =
        modified <= found.written && (asked === undefined || layout !== undefined || code === 'no-product')
      const known = marked === version || (marked === older && olderCounts)
      if (!known || !isCode(code) || (layout !== undefined && !layouts.includes(layout))) continue
      const error = new MattingError(code)
      if (isFinal(error)) throw error
    }
  }
}

/** ETag, layout and code in the name of a mark. */
const MARK = /^([\da-f]+(?:-\d+)?)(?:-([a-z][a-z\d-]*))?\.([a-z-]+)\.json$/

/** The prefixes to list. Most ETags begin with their own short form, so one LIST finds both. */
function starts(prefix: string, keys: readonly string[], versions: readonly string[]): string[] {
  const folders = keys.flatMap((key) => failureFolders(prefix, key))
  const all = folders.flatMap((folder) => versions.map((version) => folder + version))
  return all.filter((start, i) => !all.slice(0, i).some((other) => start.startsWith(other)))
}
