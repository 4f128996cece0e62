import { createAnnouncer } from './announce.ts'
import { createApi } from './api.ts'
import { createBack } from './back.ts'
import { cell } from './cell.ts'
import { drop } from './drop.ts'
import { element } from './element.ts'
import { faults } from './faults.ts'
import { gallery } from './gallery.ts'
import { banner, header } from './header.ts'
import { createLive } from './live.ts'
import { log } from './log.ts'
import { meter } from './meter.ts'
import { createPhotos, mainOf } from './photos.ts'
import { createPictures } from './picture.ts'
import { recall, TEXTS } from './remembered.ts'
import { nameOf, type Scene } from './scene.ts'
import { openSheet } from './sheet.ts'
import { createUploads } from './upload.ts'
import type { Meter, Place } from './wire.ts'

const remembered = recall(localStorage, navigator.languages)
const words = () => TEXTS[remembered.language.value]
const offline = () => words().offline
const api = createApi(offline)
const announcer = createAnnouncer()
const place = cell<Place | undefined>(undefined)
const paid = cell<Meter | undefined>(undefined)

/** What became of photos since it was last told. */
let [ready, trouble] = [0, 0]
const photos = createPhotos(api, (photo) => {
  if (mainOf(photo)) ready += 1
  else trouble += 1
  if (ready + trouble > 1) return
  setTimeout(() => {
    if (ready > 0) announcer.announce(words().ready(ready))
    if (trouble > 0) announcer.announce(words().trouble(trouble))
    ready = trouble = 0
  }, 1_000)
})
const live = createLive({
  photo: photos.changed,
  cutting: ({ key, stage }) => photos.stage(key).set(stage),
  meter: paid.set,
  reset: photos.forget,
  // What happened before it was connected was not heard.
  open: () =>
    void Promise.all([api.place().then(place.set), api.meter().then(paid.set), photos.reload()]).catch(() => {}),
})
const uploads = createUploads({
  api,
  way: () => remembered.way.value,
  offline,
  async done(key, same) {
    await photos.look(key)
    const photo = photos.photo(key).value
    if (same && photo && mainOf(photo)) announcer.announce(words().alreadyThere(nameOf(key)))
  },
})
const shared = {
  remembered,
  api,
  live,
  photos,
  uploads,
  pictures: createPictures(api.image, offline),
  back: createBack(),
  place,
  meter: paid,
  shown: cell({ bytes: 0, raw: 0 }),
  announce: announcer.announce,
}

function draw(signal: AbortSignal): void {
  const text = words()
  const scene: Scene = { ...shared, text, signal, open: (key) => openSheet(scene, key) }
  document.documentElement.lang = remembered.language.value
  document.title = text.title
  announcer.clear()
  document.body.replaceChildren(
    element('a', { class: 'skip', href: '#gallery' }, text.skip),
    header(scene),
    banner(scene),
    element(
      'main',
      {},
      element(
        'section',
        { class: 'hero' },
        element(
          'div',
          { class: 'words' },
          element('h1', {}, ...text.headline.map((line) => element('span', {}, line))),
          element('p', {}, text.lead),
        ),
        meter(scene),
        drop(scene),
      ),
      element(
        'div',
        { class: 'split' },
        gallery(scene),
        element(
          'section',
          { class: 'inside', 'aria-labelledby': 'inside' },
          element('h2', { id: 'inside' }, text.inside),
          log(scene),
          faults(scene),
        ),
      ),
    ),
    element('footer', {}, text.footer),
    announcer.node,
  )
}

let drawing = new AbortController()
remembered.language.watch(new AbortController().signal, () => {
  drawing.abort()
  drawing = new AbortController()
  const focused = document.activeElement?.closest('.language')
  draw(drawing.signal)
  if (focused) document.querySelector<HTMLElement>('.language select')?.focus()
})
remembered.theme.watch(new AbortController().signal, (theme) => {
  document.documentElement.dataset.theme = theme
})
