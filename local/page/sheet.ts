import { cell } from './cell.ts'
import { compare } from './compare.ts'
import { choices } from './control.ts'
import { copyField } from './copy.ts'
import { element, freshId, write } from './element.ts'
import { icon, note } from './icon.ts'
import { COMPARED, type Look, WIDTHS } from './look.ts'
import { looking, paint } from './looking.ts'
import { isFinished, mainOf } from './photos.ts'
import { removal } from './removal.ts'
import { kilobytes, nameOf, reasonOf, type Scene, wordsOf } from './scene.ts'
import { story } from './story.ts'

/** One photo, looked at closely: how a shop would show it, what to put into a shop's page, and what happened to it. */
export function openSheet(scene: Scene, key: string): void {
  const { text, photos, pictures, api, place, remembered } = scene
  const name = nameOf(key)
  const end = new AbortController()
  const photo = photos.photo(key)
  const look = cell<Look>(remembered.look.value)
  const layout = cell((photo.value && mainOf(photo.value)?.text) ?? 'plain')
  /** The words whose picture is shown or asked for. */
  let shown = ''

  const image = element('img', { alt: text.cutoutOf(name) })
  const ground = element('div', { class: 'result' }, image)
  const stage = element('div', { class: 'stage' })
  const bytes = element('strong', {})
  const facts = element('span', {})
  const trouble = element('p', { class: 'trouble', role: 'alert', hidden: true })
  const url = copyField(scene, text.imageUrl, text.copyUrl)
  const img = copyField(scene, text.imgTag, text.copyImg)
  const download = element('a', { class: 'button' }, icon('download'), text.download)
  const told = story(scene, key)
  const make = element(
    'button',
    { type: 'button', class: 'main', hidden: true, click: () => void show(true) },
    text.makeIt,
  )
  const layouts = element('div', {})

  const isMade = () => {
    const short = place.value?.presets.find((one) => one.name === layout.value)?.layout
    const there = photo.value && mainOf(photo.value) ? photo.value.cutouts : []
    return there.find((one) => one.layout === short || one.text === layout.value)
  }

  function drawLayouts(): void {
    const presets = place.value?.presets ?? []
    const names = [...new Set(['plain', ...presets.map((one) => one.name), layout.value])]
    layouts.replaceChildren(
      choices({
        legend: text.layout,
        choices: names.map((value) => ({ value, label: value })),
        current: layout.value,
        choose: layout.set,
      }),
    )
  }

  /** Shows the cutout as it is chosen. @param pay whether it may be made for that */
  async function show(pay: boolean): Promise<void> {
    const there = photo.value
    if (!there) return
    const words = wordsOf(scene, layout.value, look.value, true)
    const want = `${there.etag} ${words}`
    make.hidden = isMade() !== undefined || pay
    dialog.classList.toggle('refused', there.mark !== undefined)
    if (!make.hidden) {
      shown = ''
      const waiting = !isFinished(there) && element('span', {}, text.cutting)
      ground.replaceChildren(
        there.mark
          ? note(text.refused, reasonOf(text, there.mark))
          : element('div', { class: 'ask-first' }, waiting, make),
      )
      for (const field of [url, img]) field.set('')
      download.removeAttribute('href')
      for (const part of [bytes, facts]) write(part, '')
      return
    }
    if (want === shown) return
    shown = want
    const wanted = () => shown === want && !end.signal.aborted
    ground.classList.add('working')
    trouble.hidden = true
    try {
      const answer = await api.image(key, words)
      const picture = await pictures.fetch(`${want} ${key}`, answer.url, { urgent: true, wanted })
      if (!wanted()) return
      image.src = picture.src
      await image.decode()
      ground.replaceChildren(image)
      paint(ground, look.value.ground)
      url.set(answer.url)
      // Of a cutout that was made for this, or is trimmed for the first time, the size is known from now on.
      const { img: tag } = await api.image(key, words)
      if (!wanted()) return
      img.set(tag)
      download.setAttribute('href', picture.src)
      download.setAttribute(
        'download',
        `${name.replace(/\.[^.]*$/, '')}.${picture.type.replace('image/', '').replace('jpeg', 'jpg')}`,
      )
      weigh(picture.bytes, `${image.naturalWidth} × ${image.naturalHeight}`)
    } catch (error) {
      if (!wanted()) return
      trouble.hidden = false
      write(trouble, error instanceof Error ? error.message : String(error))
    } finally {
      if (wanted()) ground.classList.remove('working')
    }
  }

  function weigh(size: number, pixels: string): void {
    const raw = isMade()?.size
    write(bytes, kilobytes(text, size))
    const less = raw !== undefined && raw > 0 ? Math.round(100 * (1 - size / raw)) : 0
    const parts = [pixels, raw !== undefined && `${text.rawPng} ${kilobytes(text, raw)}`, less > 0 && text.less(less)]
    write(facts, parts.filter(Boolean).join(' · '))
  }

  async function drawCompare(): Promise<void> {
    const there = photo.value
    if (!there?.cutouts.some((one) => one.layout === 'plain')) return
    const both = compare(scene, name, look.value.ground)
    both.photo.src = there.small
    both.photo.referrerPolicy = 'origin'
    before.replaceChildren(both.frame)
    look.watch(end.signal, (now) => paint(both.node, now.ground))
    const words = wordsOf(scene, 'plain', COMPARED, false)
    const { url } = await api.image(key, words)
    const { src } = await pictures.fetch(`${there.etag} ${words} ${key}`, url, {
      urgent: true,
      wanted: () => !end.signal.aborted,
    })
    both.cutout.src = src
  }

  const controls =
    place.value?.access === 'presets'
      ? element('p', { class: 'help' }, text.presetsOnly)
      : looking({ text, look: () => look.value, change: look.set, widths: WIDTHS, full: true })
  const title = freshId()
  const before = element('div', { class: 'before' })
  stage.append(before, ground)
  const dialog = element(
    'dialog',
    { class: 'sheet', 'aria-labelledby': title, close: () => close() },
    element(
      'header',
      {},
      element('h2', { id: title, title: key }, name),
      element(
        'button',
        { type: 'button', class: 'bare', 'aria-label': text.close, title: text.close, click: () => dialog.close() },
        icon('close'),
      ),
    ),
    element(
      'div',
      { class: 'columns' },
      element(
        'div',
        {},
        stage,
        trouble,
        element('p', { class: 'weight', role: 'status' }, element('span', {}, text.result), bytes, facts),
        element('div', { class: 'panel' }, layouts, controls),
      ),
      element(
        'div',
        {},
        element(
          'section',
          { class: 'use' },
          element('h3', {}, text.use),
          url.node,
          img.node,
          element(
            'div',
            { class: 'row' },
            download,
            removal(scene, key, () => dialog.close()),
          ),
        ),
        element('section', {}, element('h3', {}, text.story), told.node),
      ),
    ),
  )
  function close(): void {
    end.abort()
    dialog.remove()
  }
  scene.signal.addEventListener('abort', () => dialog.close(), { signal: end.signal })
  document.body.append(dialog)
  dialog.showModal()
  drawLayouts()
  photo.watch(end.signal, (now) => {
    if (!now) return dialog.close()
    void show(false)
    void told.look()
    if (!before.hasChildNodes()) drawCompare().catch(() => {})
  })
  for (const one of [look, layout]) one.watch(end.signal, () => void show(false))
}
