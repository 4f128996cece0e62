import type { Cos, PutOptions } from './cos.ts'
import { MattingError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { type Png, readPng, rows } from './png.ts'

/** The time of one who reads a cutout. What was made of a cutout before `since`, in COS's time, is of another one at its key. */
export type Reading = Pick<Invocation, 'now' | 'deadline'> & { since?: number }

/** No larger picture is processed by Cloud Infinite (product/460/36620); in bytes. */
export const MAX_PICTURE = 32 * 1024 * 1024

/**
 * A stored cutout's header, and its rows as 8-bit RGBA, each valid until the next is asked for.
 * @throws MattingError no-view if it cannot be read as a PNG or has more than 32 MiB, timeout after the deadline; `changed` if
 * it is there no more
 */
export async function readPixels(
  store: Cos,
  cutout: string,
  { now, deadline }: Reading,
): Promise<{ png: Png; rows: AsyncIterable<Uint8Array>; modified: number }> {
  const found = await store.pieces(cutout)
  if (!found) throw new MattingError('changed')
  if (found.size > MAX_PICTURE) throw new MattingError('no-view')
  const png = await readPng(found.pieces)
  async function* inTime() {
    for await (const row of rows(png)) {
      if (now() >= deadline) throw new MattingError('timeout')
      yield row
    }
  }
  return { png, rows: inTime(), modified: found.modified }
}

/**
 * Stores what was made of a cutout. Taken back if that cutout is not there any more: perhaps it was removed with all that
 * belongs to it, and another may come to its key.
 * @throws MattingError changed
 */
export async function keep(
  store: Cos,
  cutout: { key: string; modified: number },
  key: string,
  body: string | Buffer,
  options: PutOptions,
): Promise<void> {
  await store.put(key, body, options)
  if ((await store.head(cutout.key))?.modified === cutout.modified) return
  await store.delete(key)
  throw new MattingError('changed')
}
