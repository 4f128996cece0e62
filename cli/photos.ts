import type { Cos } from '../lib/cos.ts'

/** A photo that is there. */
export interface Photo {
  etag: string
  /** When it was stored, by COS's clock, in milliseconds since the epoch. */
  modified: number
}

/** As many as a LIST answers at once. */
const PAGE = 1_000

/**
 * Which of these photos are there. A LIST tells of many neighbours at once; it costs at most two requests for each photo, and
 * one for a thousand where all of them are asked for. Keys are sorted otherwise than the folders of cutouts, so it takes them in
 * any order.
 * @throws MattingError misconfigured: there is no such bucket, so nothing is known of any photo; unavailable, denied
 */
export async function findPhotos(
  cos: Cos,
  prefixes: readonly string[],
  keys: Iterable<string>,
  page = PAGE,
): Promise<Map<string, Photo>> {
  const sorted = [...new Set(keys)].sort(byBytes)
  const found = new Map<string, Photo>()
  for (let i = 0; i < sorted.length; ) {
    const asked = sorted[i] ?? ''
    const prefix = prefixes.find((one) => asked.startsWith(one)) ?? asked
    let seen = 0
    for await (const { key, etag, written } of cos.list(prefix, before(asked))) {
      while (i < sorted.length && byBytes(sorted[i] ?? '', key) < 0) i++
      if (sorted[i] === key) {
        found.set(key, { etag, modified: written })
        i++
      }
      if (++seen >= page || i >= sorted.length) break
    }
    if (seen < page) {
      // The list has ended.
      while (sorted[i]?.startsWith(prefix)) i++
    } else if (sorted[i] === asked) {
      // There are too many photos before it. The LIST has told that there is a bucket, so HEAD tells of the photo.
      const head = await cos.head(asked)
      if (head) found.set(asked, head)
      i++
    }
  }
  return found
}

/** Where a LIST begins that is to tell of this key: a little before it. */
function before(key: string): string {
  return Array.from(key).slice(0, -1).join('')
}

/** COS lists keys in the order of their bytes, which is not that of JavaScript's strings. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
