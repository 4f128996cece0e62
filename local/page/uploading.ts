import { element, write } from './element.ts'
import type { Text } from './english.ts'
import { icon } from './icon.ts'
import type { Scene } from './scene.ts'
import type { Upload, UploadState } from './upload.ts'

/** Drawn once for each upload and drawing of the page. */
const drawn = new WeakMap<AbortSignal, WeakMap<Upload, HTMLElement>>()

/** The card of a file that is on its way. */
export function uploadCard(scene: Scene, upload: Upload): HTMLElement {
  const known = drawn.get(scene.signal) ?? new WeakMap<Upload, HTMLElement>()
  drawn.set(scene.signal, known)
  const there = known.get(upload) ?? draw(scene, upload)
  known.set(upload, there)
  return there
}

function draw({ text, signal }: Scene, { name, preview, state, again, dismiss }: Upload): HTMLElement {
  const words = element('span', {})
  const bar = element('progress', { max: 100, 'aria-label': name })
  const side = element('div', { class: 'tile note' }, words, bar)
  const anew = element('button', {
    type: 'button',
    click: () => again(state.value.at === 'failed' && state.value.remedy === 'replace'),
  })
  const buttons = element(
    'div',
    { class: 'row' },
    anew,
    element(
      'button',
      {
        type: 'button',
        'aria-label': text.dismissFor(name),
        click: () => {
          dismiss()
          // The button goes, too.
          document.getElementById('gallery')?.focus()
        },
      },
      text.dismiss,
    ),
  )
  const image = element('img', { src: preview, alt: '', loading: 'lazy', decoding: 'async' })
  image.onerror = () => image.replaceWith(icon('photo'))
  state.watch(signal, (now) => {
    if (now.at === 'failed') {
      anew.hidden = now.remedy === undefined
      write(anew, now.remedy === 'replace' ? text.replace : text.retry)
    }
    if (now.at === 'failed') side.replaceChildren(icon('warning'), element('strong', {}, text.failed), words, buttons)
    else if (!bar.isConnected) side.replaceChildren(words, bar)
    write(words, wordsOf(text, now))
    if (now.at === 'sending') bar.value = now.percent
    else bar.removeAttribute('value')
  })
  return element(
    'li',
    { class: 'card upload' },
    element('div', { class: 'pictures' }, element('div', { class: 'tile' }, image), side),
    element('div', { class: 'caption' }, element('span', { class: 'name' }, name)),
  )
}

function wordsOf(text: Text, now: UploadState): string {
  if (now.at === 'failed') return now.why(text)
  return now.at === 'queued' ? text.queued : text.uploading(now.percent)
}
