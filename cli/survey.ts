import type { ObjectHead } from '../lib/cos.ts'
import { layoutsOf, refuseHead } from '../lib/cut.ts'
import { RECORDS } from '../lib/cutout.ts'
import { MattingError } from '../lib/errors.ts'
import type { Invocation } from '../lib/invocation.ts'
import { type Foreseen, find, foresee, type Lists, placesOf } from '../lib/pay/pay.ts'
import { refuseListed } from '../lib/source.ts'
import { patiently } from './patience.ts'
import type { Entry } from './sources.ts'
import { openWindow } from './window.ts'

/** What becomes of an object if the backfill comes to it. */
export type Verdict =
  /** All cutouts of its folder's layouts are there. */
  | { verdict: 'cut'; key: string }
  /** In the words of the upload function, or by the code of its error. */
  | { verdict: 'refused'; key: string; why: string }
  /** `calls` are to be paid; none, if it only is to be announced again. */
  | { verdict: 'missing'; key: string; head: ObjectHead; calls: number }
  /** It could not be looked at. */
  | { verdict: 'failed'; key: string; error: MattingError }

/** So many objects are looked at in advance, and at the same time. */
const AHEAD = 32

interface Known extends Entry {
  etag: string
  size: number
  written: number
}

/**
 * Looks at objects, and says of each, in their order, what is to be paid for it: exactly what `ensure` will pay. Lists tell most
 * of it, a page of objects and the cutouts beside it at a time; only what is to be paid for is asked for by HEAD.
 */
export async function* survey(
  invocation: Invocation,
  pages: AsyncIterable<readonly Entry[]>,
  since = Number.NEGATIVE_INFINITY,
): AsyncGenerator<Verdict> {
  const lists = openLists(invocation)
  async function* joined(): AsyncGenerator<() => Verdict | Promise<Verdict>> {
    for await (const page of pages) {
      const recent = page.filter(({ written }) => (written ?? since) >= since)
      const known: Known[] = []
      const told: (Verdict | Known)[] = []
      for await (const one of ahead(recent, (entry) => look(invocation, entry))) {
        // Only HEAD told how old it is.
        if ('written' in one && one.written < since) continue
        told.push(one)
        if ('written' in one) known.push(one)
      }
      const places = await lists(known)
      for (const one of told) yield () => ('verdict' in one ? one : judge(invocation, one, places.get(one) ?? NONE))
    }
  }
  yield* ahead(joined(), (judged) => judged())
}

const NONE: Lists = { cutouts: [], marks: [] }

/** What the key and the list tell; of an entry of which no list tells, what HEAD tells. */
async function look({ cos, config }: Invocation, entry: Entry): Promise<Verdict | Known> {
  const { key, other, size, etag, written } = entry
  const why = refuseListed({ key, size: size ?? 1 }, config)
  // Its cutouts may be there, from before MAX_SOURCE_BYTES was lowered.
  if (why && why !== 'too-large') return { verdict: 'refused', key, why }
  if (other === undefined && size !== undefined && etag !== undefined && written !== undefined)
    return { ...entry, size, etag, written }
  try {
    for (const one of other === undefined ? [key] : [key, other]) {
      const head = await cos.head(one)
      if (head) return { ...entry, key: one, size: head.size, etag: head.etag, written: head.modified }
    }
    return { verdict: 'refused', key, why: 'not there any more' }
  } catch (error) {
    return { verdict: 'failed', key, error: MattingError.from(error) }
  }
}

async function judge(invocation: Invocation, entry: Known, lists: Lists): Promise<Verdict> {
  const { config, cos, store } = invocation
  const { key, etag, size, written: modified } = entry
  const refused = (why: string): Verdict => ({ verdict: 'refused', key, why })
  const layouts = layoutsOf(key, { etag, size, modified, type: '' }, config)
  const { missing, marked, error } = foresee(invocation, { key, etag, size, modified }, layouts, lists)
  if (!entry.again && layouts.length > 0 && missing.length === 0 && !error) return { verdict: 'cut', key }
  if (marked && (error || missing.length > 0)) return refused(marked.code)
  if (error?.code === 'too-large' && missing.length === 0) return refused(error.code)
  try {
    const head = await cos.head(key)
    if (!head) return refused('not there any more')
    const why = refuseHead(key, head, config)
    if (why) return refused(why)
    const source = { key, etag: head.etag, size: head.size, modified: head.modified }
    const now = head.etag === etag ? lists : await listsOf(invocation, source)
    const foreseen = foresee(invocation, source, layoutsOf(key, head, config), now)
    // A cutout that was bought by somebody who ended before it was marked may be blank, and then the others are as well.
    const { found } = foreseen.missing.length > 0 ? await find(store, foreseen.found) : { found: [] }
    if (found.some(({ blank }) => blank)) return refused('no-product')
    const calls = foreseen.missing.length
    if (calls > 0 || (entry.again && !foreseen.error)) return { verdict: 'missing', key, head, calls }
    return foreseen.error ? refused(foreseen.error.code) : { verdict: 'cut', key }
  } catch (thrown) {
    const error = MattingError.from(thrown)
    return error.code === 'bad-layout' ? refused(error.code) : { verdict: 'failed', key, error }
  }
}

/** Lists the cutouts and marks of photos, which are best read in the order in which they are listed. */
function openLists({ config, store }: Invocation) {
  const marksPrefix = `${RECORDS}failed/${config.cutoutPrefix}`
  const patient = { ...store, page: patiently(store.page) }
  const cutouts = openWindow(patient, config.cutoutPrefix)
  const marks = openWindow(patient, marksPrefix)
  return async <T extends { key: string; etag: string }>(photos: readonly T[]): Promise<Map<T, Lists>> => {
    const all = new Map<T, { cutouts: Lists['cutouts'][number][]; marks: Lists['marks'][number][] }>()
    const wanted = photos.flatMap((photo) => {
      const found = { cutouts: [], marks: [] }
      all.set(photo, found)
      const places = placesOf(config.cutoutPrefix, photo)
      return [...places.cutouts, ...places.marks].map((start) => ({ start, photo }))
    })
    // Keys are escaped within the names of cutouts, which changes their order.
    for (const { start, photo } of wanted.sort((a, b) => (a.start < b.start ? -1 : 1))) {
      if (start.startsWith(marksPrefix)) all.get(photo)?.marks.push([start, await marks.under(start)])
      else all.get(photo)?.cutouts.push(...(await cutouts.under(start)))
    }
    return all
  }
}

/** What lists tell of photos that are being cut out, in the order of the photos. Nothing else is asked for. */
export async function follow(
  invocation: Invocation,
  photos: readonly { key: string; head: ObjectHead }[],
): Promise<Foreseen[]> {
  const sources = photos.map(({ key, head }) => ({ key, etag: head.etag, size: head.size, modified: head.modified }))
  const lists = await openLists(invocation)(sources)
  return sources.map((source, i) => {
    const { key, head } = photos[i] ?? { key: source.key, head: { ...source, type: '' } }
    return foresee(invocation, source, layoutsOf(key, head, invocation.config), lists.get(source) ?? NONE)
  })
}

/** The lists of a photo that was replaced since it was listed. */
async function listsOf(invocation: Invocation, photo: { key: string; etag: string }): Promise<Lists> {
  return (await openLists(invocation)([photo])).get(photo) ?? NONE
}

/** Does some of the work in advance, and yields what comes of it in its order. */
async function* ahead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => R | Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = []
  for await (const item of items) {
    const one = Promise.resolve(work(item))
    // It is waited for later.
    one.catch(() => {})
    begun.push(one)
    const first = begun.length > AHEAD ? begun.shift() : undefined
    if (first) yield await first
  }
  for (const one of begun) yield await one
}
