import type { Listed } from '../lib/answer.ts'
import type { Cos } from '../lib/cos.ts'

/** A place in the list of a bucket, from which it is read on or skipped to where something is wanted. */
export interface Window {
  /**
   * The objects whose keys begin with this ASCII text. Texts that come in the order of the list cost as few requests as the list
   * has pages, and none costs more than one request, unless so many objects begin with it.
   */
  under(start: string): Promise<Listed[]>
}

/** Opens the part of a list under `prefix`. It keeps one page in memory. */
export function openWindow(store: Cos, prefix: string): Window {
  /** All objects behind `after` up to the last one; if there are no more, all that are behind it. */
  let page: { after: string; objects: Listed[]; more: boolean } | undefined
  const seek = async (after: string) => {
    page = { after, ...(await store.page(prefix, after)) }
    return page
  }
  return {
    async under(start) {
      const found: Listed[] = []
      let here = page
      // The marker is the last key before all that begin with the text, so far as that can be said.
      if (!here || here.after >= start || (here.more && (here.objects.at(-1)?.key ?? '') < start))
        here = await seek(start.slice(0, -1))
      for (;;) {
        const { objects, more } = here
        let i = firstFrom(objects, start)
        for (let one = objects[i]; one?.key.startsWith(start); one = objects[++i]) found.push(one)
        if (i < objects.length || !more) return found
        here = await seek(objects.at(-1)?.key ?? '')
      }
    },
  }
}

/** The place of the first key that is not before the text. Of an ASCII text and a key, UTF-16 and UTF-8 have the same order. */
function firstFrom(objects: readonly Listed[], start: string): number {
  let [low, high] = [0, objects.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((objects[middle]?.key ?? '') < start) low = middle + 1
    else high = middle
  }
  return low
}
