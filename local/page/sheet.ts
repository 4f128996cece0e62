import { before } from './before.ts'
import { choices } from './control.ts'
import { copyField } from './copy.ts'
import { element, freshId, write } from './element.ts'
import { icon, note } from './icon.ts'
import { GROUNDS, type Look, WIDTHS } from './look.ts'
import { looking, paint } from './looking.ts'
import { isFinished, mainOf } from './photos.ts'
import { removal } from './removal.ts'
import { groundOf, nameOf, reasonOf, type Scene, wordsOf } from './scene.ts'
import { kilobytes } from './size.ts'
import { story } from './story.ts'

/** One photo, looked at closely: how a shop would show it, what to put into a shop's page, and what happened to it. */
export function openSheet(scene: Scene, key: string): void {
  const { text, photos, pictures, api, place, remembered } = scene
  const name = nameOf(key)
  const end = new AbortController()
  const photo = photos.photo(key)
  let layout = (photo.value && mainOf(photo.value)?.text) ?? 'plain'
  let look = lookFor(layout, remembered.look.value)
  /** The words whose picture is shown or asked for. */
  let shown = ''
  /** Tells the weight of what is shown. */
  let weighAgain = () => {}

  const image = element('img', { alt: text.cutoutOf(name) })
  const ground = element('div', { class: 'result' }, image)
  const photoBeside = before(scene, key)
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
  const controls = element('div', {})

  /** The short name of a layout; undefined for words that no preset has. */
  function shortOf(name: string): string | undefined {
    return place.value?.presets.find((one) => one.name === name)?.layout
  }
  const isMade = () => {
    const there = photo.value && mainOf(photo.value) ? photo.value.cutouts : []
    return there.find((one) => one.layout === shortOf(layout) || one.text === layout)
  }

  /** How a layout is looked at first: trimmed, it would lose all that it adds. */
  function lookFor(name: string, now: Look): Look {
    return { ...now, trim: remembered.look.value.trim && [name, shortOf(name)].includes('plain') }
  }

  function drawLayouts(): HTMLElement {
    const presets = place.value?.presets ?? []
    const names = [...new Set(['plain', ...presets.map((one) => one.name), layout])]
    return element(
      'div',
      {},
      choices({
        legend: text.layout,
        choices: names.map((value) => ({ value, label: value })),
        current: layout,
        choose(value) {
          layout = value
          look = lookFor(value, look)
          drawControls()
          void show(false)
        },
      }),
      place.value?.access !== 'presets' && element('p', { class: 'help' }, text.layoutHelp),
    )
  }

  function drawControls(): void {
    controls.replaceChildren(
      place.value?.access === 'presets'
        ? element('p', { class: 'help' }, text.presetsOnly)
        : looking({ text, look: () => look, change, widths: WIDTHS, full: true }),
    )
  }
  function change(now: Look): void {
    look = now
    photoBeside.lay(groundOf(scene, look))
    void show(false)
  }

  /** Shows the cutout as it is chosen. @param pay whether it may be made for that */
  async function show(pay: boolean): Promise<void> {
    const there = photo.value
    if (!there) return
    const words = wordsOf(scene, layout, look, true)
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
      return forget()
    }
    // The photo has changed: how much the PNG weighs may be known only now.
    if (want === shown) return weighAgain()
    shown = want
    weighAgain = () => {}
    const wanted = () => shown === want && !end.signal.aborted
    ground.classList.add('working')
    trouble.hidden = true
    try {
      const picture = await pictures.fetch(there, words, { urgent: true, wanted })
      if (!wanted()) return
      image.src = picture.src
      await image.decode()
      ground.replaceChildren(image)
      paint(ground, groundOf(scene, look))
      // Of a cutout that was made for this, or is trimmed for the first time, the size is known from now on.
      const answer = await api.image(key, words)
      if (!wanted()) return
      url.set(answer.url)
      img.set(answer.img)
      download.setAttribute('href', picture.src)
      download.setAttribute(
        'download',
        `${name.replace(/\.[^.]*$/, '')}.${picture.type.replace('image/', '').replace('jpeg', 'jpg')}`,
      )
      weighAgain = () => weigh(picture.bytes, `${image.naturalWidth} × ${image.naturalHeight}`)
      weighAgain()
      if (pay) void told.look()
    } catch (error) {
      if (!wanted()) return
      // The next choice tries again.
      shown = ''
      forget()
      trouble.hidden = false
      write(trouble, error instanceof Error ? error.message : String(error))
      if (!pay) return
      make.hidden = false
      ground.replaceChildren(element('div', { class: 'ask-first' }, make))
    } finally {
      if (wanted() || shown === '') ground.classList.remove('working')
    }
  }

  /** Gives nothing to use that is not what is chosen. */
  function forget(): void {
    for (const field of [url, img]) field.set('')
    download.removeAttribute('href')
    for (const part of [bytes, facts]) write(part, '')
  }

  function weigh(size: number, pixels: string): void {
    const raw = isMade()?.size
    const bare = look.format === 'jpg' && place.value?.access !== 'presets' && text.noTransparency
    write(bytes, kilobytes(size))
    const less = raw !== undefined && raw > 0 ? Math.floor(100 * (1 - size / raw)) : 0
    const parts = [
      pixels,
      groundOf(scene, look) === GROUNDS.checker ? bare : text.onGround,
      raw !== undefined && `${text.rawPng} ${kilobytes(raw)}`,
      less > 0 && text.less(less),
    ]
    write(facts, parts.filter(Boolean).join(' · '))
  }

  const title = freshId()
  const dialog = element(
    'dialog',
    // A click beside it closes it.
    { class: 'sheet', closedby: 'any', 'aria-labelledby': title, close: () => close() },
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
        element('div', { class: 'stage' }, photoBeside.node, ground),
        trouble,
        element('p', { class: 'weight', role: 'status' }, element('span', {}, text.result), bytes, facts),
        element('div', { class: 'panel' }, drawLayouts(), controls),
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
          element('p', { class: 'help' }, text.useHelp, place.value?.access === 'signed' && ` ${text.signedHelp}`),
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
    leave()
    dialog.remove()
  }
  scene.signal.addEventListener('abort', () => dialog.close(), { signal: end.signal })
  const leave = scene.back.enter(() => dialog.close())
  document.body.append(dialog)
  dialog.showModal()
  drawControls()
  photoBeside.lay(groundOf(scene, look))
  photo.watch(end.signal, (now) => {
    if (!now) return dialog.close()
    void show(false)
    void told.look()
    photoBeside.draw(now).catch(() => {})
  })
}
