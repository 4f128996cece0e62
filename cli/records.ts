import type { Config } from '../lib/config.ts'
import { FRAMES, isCutout, isVersionOf, sourceKey, splitCutout } from '../lib/cutout.ts'
import type { Invocation } from '../lib/invocation.ts'
import { FAILURES, isPast, listClaims, RECEIPTS, splitMark, TALLIES } from '../lib/pay/pay.ts'
import { refuseKey } from '../lib/source.ts'
import { type Ages, DAY, type Garbage, ofPhotos, oldNotes, type Witness } from './garbage.ts'
import { byBytes } from './photos.ts'

/**
 * Finds what may go, in passes: what one finds must be deleted before the next begins. Memory does not grow with the number of
 * objects. The passes throw MattingErrors.
 */
export function findGarbage(invocation: Invocation, ages: Ages, witness: Witness): AsyncGenerator<Garbage>[] {
  const { cutoutPrefix } = invocation.config
  return [
    // The note of a photo that is there again must not count when it goes once more.
    oldNotes(invocation),
    ofPhotos(invocation, ages, witness, cutoutPrefix, splitCutout),
    ofPhotos(invocation, ages, { ...witness, photos() {} }, FAILURES + cutoutPrefix, splitMark),
    lostFrames(invocation),
    oldClaims(invocation, ages, witness),
    oldReceipts(invocation, ages),
  ]
}

/** Frames whose cutouts are gone. Both are listed in the same order, nearly; the look before the deletion decides. */
async function* lostFrames({ config, store }: Invocation): AsyncGenerator<Garbage> {
  const cutouts = store.list(config.cutoutPrefix)
  let next = await cutouts.next()
  for await (const { key, size, written: since } of store.list(FRAMES + config.cutoutPrefix)) {
    const cutout = key.slice(FRAMES.length, -'.json'.length)
    while (!next.done && byBytes(next.value.key, cutout) < 0) next = await cutouts.next()
    if (!isCutout(cutout) || (!next.done && next.value.key === cutout) || store.clock() - since < DAY) continue
    const check = async () => (await store.head(cutout)) === undefined
    yield { kind: 'frames', key, size, since, folder: folderOf(config, cutout), check }
  }
}

/**
 * Claims whose time is long past. One whose cutout is missing stays while its photo is there: two who ask for the cutout at this
 * moment, one with and one without it, could both pay.
 */
async function* oldClaims({ config, cos, store }: Invocation, ages: Ages, { kept }: Witness): AsyncGenerator<Garbage> {
  for await (const { key, size, cutout, written: since } of listClaims(store, config.cutoutPrefix)) {
    if (store.clock() - since < ages.claims) {
      kept('young')
      continue
    }
    const { folder = '', version = '' } = splitCutout(cutout) ?? {}
    const source = sourceKey(config.cutoutPrefix, folder)
    const check = async () => {
      if (!(await isPast(store, key, ages.claims))) return false
      if (await store.head(cutout)) return true
      if (source === undefined || refuseKey(source, config.sourcePrefixes) !== undefined) return false
      const head = await cos.head(source)
      return head ? !isVersionOf(version, head.etag) : (await cos.pieces(source)) === undefined
    }
    yield { kind: 'claims', key, size, since, folder: folderOf(config, cutout), check }
  }
}

/** Receipts of days long past, and their sums. Their keys begin with the day. */
async function* oldReceipts({ store }: Invocation, ages: Ages): AsyncGenerator<Garbage> {
  for (const folder of [RECEIPTS, TALLIES]) {
    for await (const { key, size } of store.list(folder)) {
      // What has no day in its key is none; Date.parse would read one in `notes 2001`.
      const [day = ''] = /^\d{4}-\d\d-\d\d(?=[/.])/.exec(key.slice(folder.length)) ?? []
      const end = Date.parse(day) + DAY
      if (!(store.clock() - end >= ages.receipts)) continue
      yield { kind: 'receipts', key, size, since: end, folder: '', check: async () => true }
    }
  }
}

function folderOf({ cutoutPrefix }: Config, cutout: string): string {
  const source = sourceKey(cutoutPrefix, splitCutout(cutout)?.folder ?? '') ?? ''
  return source.slice(0, source.lastIndexOf('/') + 1)
}
