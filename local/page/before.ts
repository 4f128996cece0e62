import { compare } from './compare.ts'
import { element } from './element.ts'
import { icon } from './icon.ts'
import { COMPARED } from './look.ts'
import { paint } from './looking.ts'
import { mainOf } from './photos.ts'
import { nameOf, type Scene, wordsOf } from './scene.ts'
import type { Photo } from './wire.ts'

/** The photo beside what has become of it: over its plain cutout, to compare them, if it has one. */
export function before(scene: Scene, key: string) {
  const { text, pictures } = scene
  const name = nameOf(key)
  const node = element('div', { class: 'before' })
  let ground = ''
  let drawn = ''

  /** Draws what is not drawn yet. @throws Refused, Error if the cutout cannot be had */
  async function draw(photo: Photo): Promise<void> {
    const hasPlain = mainOf(photo) !== undefined && photo.cutouts.some(({ layout }) => layout === 'plain')
    const want = `${photo.etag} ${hasPlain}`
    if (want === drawn) return
    drawn = want
    if (!hasPlain) {
      const image = element('img', { src: photo.small, alt: text.photoOf(name), referrerpolicy: 'origin' })
      image.onerror = () => image.replaceWith(icon('photo'))
      return node.replaceChildren(element('div', { class: 'frame alone' }, image))
    }
    const both = compare(scene, name, ground)
    both.photo.referrerPolicy = 'origin'
    both.photo.src = photo.small
    node.replaceChildren(both.frame)
    const words = wordsOf(scene, 'plain', COMPARED, false)
    const wanted = () => both.frame.isConnected
    try {
      const { src } = await pictures.fetch(photo, words, { urgent: true, wanted })
      both.cutout.src = src
    } catch (error) {
      // The next change of the photo tries again.
      if (drawn === want) drawn = ''
      throw error
    }
  }

  return {
    node,
    draw,
    /** Lays another ground under the cutout. */
    lay(now: string): void {
      ground = now
      const under = node.querySelector('.compare')
      if (under instanceof HTMLElement) paint(under, ground)
    },
  }
}
