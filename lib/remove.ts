import { cutoutFolders, frameKey, versionIn } from './cutout.ts'
import type { Invocation } from './invocation.ts'
import { failureFolders } from './pay/pay.ts'

/**
 * Removes the cutouts of a photo with what belongs to them, and the failures noted for it. Returns how many cutouts it
 * were. Claims stay, because they prevent paying twice.
 */
export async function remove(key: string, { config, store }: Pick<Invocation, 'config' | 'store'>): Promise<number> {
  const { cutoutPrefix } = config
  let removed = 0
  const cutouts = cutoutFolders(cutoutPrefix, key)
  // Twice, for what was made of a cutout before it was removed, and after it was listed.
  for (const folder of [...cutouts, ...cutouts, ...failureFolders(cutoutPrefix, key)]) {
    for await (const object of store.list(folder)) {
      const name = object.key.slice(folder.length)
      const whole = !name.includes('/')
      const cutout = cutouts.includes(folder)
      // Inside the folder of `a.jpg` there may be that of a photo `a.jpg/b.jpg`, and objects that somebody put there by hand.
      if (cutout ? versionIn(name) === undefined : !whole) continue
      // The vendor may cut out the same photo in another way the next time.
      await store.delete(object.key)
      if (cutout && whole) await store.delete(frameKey(object.key))
      if (cutout && whole) removed++
    }
  }
  return removed
}
