import { compare } from './compare.ts'
import { element, write } from './element.ts'
import { icon, note } from './icon.ts'
import { paint } from './looking.ts'
import { isFinished, mainOf } from './photos.ts'
import { groundOf, nameOf, reasonOf, type Scene, wordsOf } from './scene.ts'
import { kilobytes } from './size.ts'
import type { Cutout, CuttingPicture, Photo } from './wire.ts'

/** A photo and its cutout. */
export interface Card {
  node: HTMLElement
  /** Whether it is in the window or near it. One that is far away fetches no pictures, though it asked for them when it was near. */
  near(is: boolean): void
  /** Bytes of its picture, and of the stored PNG; undefined as long as there is none. */
  weight: { bytes: number; raw: number } | undefined
}

/** @param weighed its weight has changed */
export function card(scene: Scene, key: string, signal: AbortSignal, weighed: () => void): Card {
  const { text, remembered, photos } = scene
  const name = nameOf(key)
  // Of their size from the start, so that nothing jumps.
  const pictures = element(
    'div',
    { class: 'pictures' },
    element('div', { class: 'tile' }),
    element('div', { class: 'tile' }),
  )
  const size = element('span', { class: 'size' })
  const node = element(
    'li',
    { class: 'card' },
    pictures,
    element(
      'div',
      { class: 'caption' },
      element(
        'button',
        { type: 'button', class: 'name', title: key, 'aria-label': text.open(name), click: () => scene.open(key) },
        name,
      ),
      size,
    ),
  )
  const made: Card = { node, near, weight: undefined }
  let isNear = false
  let isWatching = false
  let drawn = ''

  function near(is: boolean): void {
    isNear = is
    if (isWatching) draw()
    if (isWatching || !is) return
    isWatching = true
    photos.photo(key).watch(signal, draw)
    photos.stage(key).watch(signal, draw)
    remembered.look.watch(signal, draw)
    remembered.mode.watch(signal, draw)
    scene.place.watch(signal, draw)
  }

  /** Draws what is not drawn yet. */
  function draw(): void {
    const photo = photos.photo(key).value
    if (!photo || !isNear) return
    const look = remembered.look.value
    const mode = remembered.mode.value
    const cutout = mainOf(photo)
    const stage = photos.stage(key).value
    // Without a cutout there is nothing that a look could change.
    const how = cutout ? [mode, Object.values(look), scene.place.value?.access] : [isFinished(photo), stage]
    const want = [photo.etag, cutout?.layout, photo.mark?.code, how].join()
    if (want === drawn) return
    drawn = want
    if (!cutout) drawWaiting(photo, stage)
    else void (mode === 'compare' ? drawCompare(photo, cutout) : drawBeside(photo, cutout))
  }

  function photoImage(photo: Photo): HTMLImageElement {
    const image = element('img', {
      src: photo.small,
      alt: text.photoOf(name),
      loading: 'lazy',
      decoding: 'async',
      referrerpolicy: 'origin',
      // What is no picture has none to show.
      error: () => image.replaceWith(icon('photo')),
    })
    return image
  }

  function drawWaiting(photo: Photo, stage: CuttingPicture['stage'] | undefined): void {
    const tile = isFinished(photo)
      ? note(text.refused, photo.mark ? reasonOf(text, photo.mark) : text.idle)
      : element('div', { class: 'note' }, stage ? text.stages[stage] : text.cutting)
    tile.classList.add('tile')
    tile.classList.toggle('working', !isFinished(photo))
    pictures.replaceChildren(element('div', { class: 'tile' }, photoImage(photo)), tile)
    write(size, '')
    weigh(undefined)
  }

  async function drawBeside(photo: Photo, cutout: Cutout): Promise<void> {
    const look = remembered.look.value
    const image = element('img', { alt: text.cutoutOf(name), decoding: 'async' })
    const tile = element('div', { class: 'tile ground' }, image)
    paint(tile, groundOf(scene, look))
    const here = pictures.querySelector('.tile img')
    // Only its cutout changes with the look; the photo stays as it is.
    const kept =
      here instanceof HTMLImageElement && here.getAttribute('src') === photo.small ? here.parentElement : undefined
    const old = pictures.querySelector('.ground img')
    if (old instanceof HTMLImageElement && old.src) image.src = old.src
    pictures.replaceChildren(kept ?? element('div', { class: 'tile' }, photoImage(photo)), tile)
    await load(photo, cutout, wordsOf(scene, cutout.text, look, false), image, tile)
  }

  async function drawCompare(photo: Photo, cutout: Cutout): Promise<void> {
    const look = { ...remembered.look.value, trim: false }
    const both = compare(scene, name, groundOf(scene, look))
    both.photo.src = photo.small
    both.photo.referrerPolicy = 'origin'
    pictures.replaceChildren(both.frame)
    await load(photo, cutout, wordsOf(scene, cutout.text, look, false), both.cutout, both.node)
  }

  async function load(
    photo: Photo,
    cutout: Cutout,
    words: string,
    image: HTMLImageElement,
    tile: HTMLElement,
  ): Promise<void> {
    const mine = drawn
    const isMine = () => drawn === mine && !signal.aborted
    const wanted = () => isMine() && isNear
    try {
      tile.classList.add('working')
      const { src, bytes, type } = await scene.pictures.fetch(photo, words, { urgent: false, wanted })
      if (!isMine()) return
      image.src = src
      const raw = cutout.size
      const format = type.replace('image/', '').toUpperCase().replace('WEBP', 'WebP').replace('JPEG', 'JPG')
      const struck = raw > bytes && element('s', {}, `PNG ${kilobytes(raw)}`)
      size.replaceChildren(`${format} ${kilobytes(bytes)} `, ...(struck ? [struck] : []))
      weigh({ bytes, raw })
    } catch (error) {
      if (!isMine()) return
      // The next change of the photo tries again, or when it is near again.
      drawn = ''
      if (!isNear) return
      const why = error instanceof Error ? error.message : String(error)
      tile.replaceChildren(note(text.noView, why))
      write(size, '')
      weigh(undefined)
    } finally {
      tile.classList.remove('working')
    }
  }

  function weigh(weight: Card['weight']): void {
    made.weight = weight
    weighed()
  }
  return made
}
