import type { Listed } from '../answer.ts'
import { cutoutFolders, etagPart, olderPart } from '../cutout.ts'
import { MattingError } from '../errors.ts'
import type { Invocation } from '../invocation.ts'
import type { Layout } from '../layout.ts'
import { markPrefixes, readMark, shortest } from './failure.ts'
import { MAX_RULES } from './hold.ts'
import { type Source, type Wanted, wantedCutouts } from './work.ts'

/** What lists tell of a version of a photo. */
export interface Lists {
  cutouts: readonly Listed[]
  /** The marks under each of the prefixes. */
  marks: readonly (readonly [prefix: string, marks: readonly Listed[]])[]
}

/** What `ensure` is going to do for a photo, as far as lists tell it; only bytes tell whether a cutout is blank. */
export interface Foreseen {
  found: Wanted[]
  /** To be paid for. */
  missing: Wanted[]
  /** Why the photo cannot be cut out, whatever the layout. */
  marked?: MattingError
  /** What is thrown once the missing ones are paid for, or if none is missing. */
  error?: MattingError
}

/** With what the keys of all cutouts and marks of a version begin. */
export function placesOf(
  prefix: string,
  source: { key: string; etag: string },
): { cutouts: string[]; marks: string[] } {
  const versions = [olderPart(source.etag), etagPart(source.etag)]
  const cutouts = cutoutFolders(prefix, source.key).flatMap((folder) => versions.map((version) => folder + version))
  return { cutouts: shortest(cutouts), marks: markPrefixes(prefix, source) }
}

/** Goes the way of `ensure`, as it is called for so many layouts at a time, and asks for nothing. */
export function foresee(
  invocation: Pick<Invocation, 'config'>,
  source: Source,
  layouts: readonly Layout[],
  { cutouts, marks }: Lists,
): Foreseen {
  const there = new Map(cutouts.map(({ key, written }) => [key, written]))
  const isThere = ({ key, older, since }: Wanted) =>
    there.has(key) || older.some((one) => (there.get(one) ?? Number.NEGATIVE_INFINITY) >= since)
  const noted = (names: readonly string[]) =>
    marks.flatMap(([start, found]) => found.flatMap((one) => readMark(source, start, one, names) ?? [])).at(0)
  const marked = noted([])
  const all: Foreseen = { found: [], missing: [], ...(marked && { marked }) }
  for (let i = 0; i < layouts.length; i += MAX_RULES) {
    const wanted = wantedCutouts(invocation, source, layouts.slice(i, i + MAX_RULES))
    const missing = wanted.filter((one) => !isThere(one))
    all.found.push(...wanted.filter((one) => !missing.includes(one)))
    if (missing.length === 0) continue
    const isLarge = source.size > invocation.config.maxSourceBytes
    const error = isLarge ? new MattingError('too-large') : noted(missing.map(({ name }) => name))
    if (error) return { ...all, error }
    all.missing.push(...missing)
  }
  // Then its cutouts are there, but blank.
  return marked?.code === 'no-product' ? { ...all, error: marked } : all
}
