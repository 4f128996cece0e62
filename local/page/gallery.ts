import { type Card, card } from './card.ts'
import { choices, follow } from './control.ts'
import { arrange, element, write } from './element.ts'
import { icon } from './icon.ts'
import { CARD_WIDTHS } from './look.ts'
import { looking } from './looking.ts'
import { MODES } from './remembered.ts'
import type { Scene } from './scene.ts'
import { uploadCard } from './uploading.ts'

/** How far beyond the window a card begins to load. */
const NEAR = '400px'

/** The photos of the bucket, and how they are shown. */
export function gallery(scene: Scene): HTMLElement {
  const { text, photos, remembered, signal, uploads } = scene
  const list = element('ul', { class: 'cards', 'aria-label': text.photos })
  const count = element('span', { class: 'count' })
  const empty = element(
    'div',
    { class: 'empty' },
    icon('photo'),
    element('p', {}, element('strong', {}, text.empty), text.emptyHelp),
  )
  const trouble = element('p', { class: 'trouble', role: 'alert', hidden: true })
  const more = element('button', { type: 'button', class: 'wide', click: () => void loadMore() }, text.more)
  async function loadMore(): Promise<void> {
    const last = list.lastElementChild
    await photos.loadMore()
    // The button goes with the last of them, and the focus would be lost.
    if (!photos.more.value) last?.querySelector('button')?.focus()
  }
  const controls = follow(element('div', { class: 'bar' }), scene.place, signal, (place) =>
    place?.access === 'presets' ? [element('p', {}, text.presetsOnly)] : [looks()],
  )

  const modes = choices({
    legend: text.showAs,
    choices: MODES.map((value) => ({ value, label: text.modes[value] })),
    current: remembered.mode.value,
    choose: remembered.mode.set,
    hideLegend: true,
  })
  function looks(): HTMLElement {
    const { look } = remembered
    return looking({ text, look: () => look.value, change: look.set, widths: CARD_WIDTHS, full: false })
  }

  const dismissAll = element(
    'button',
    {
      type: 'button',
      click: () => {
        for (const { state, dismiss } of uploads.list.value) if (state.value.at === 'failed') dismiss()
        // The button goes, too.
        document.getElementById('gallery')?.focus()
      },
    },
    text.dismissAll,
  )

  const cards = new Map<string, { card: Card; end: AbortController }>()
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries)
        for (const { card } of cards.values()) if (card.node === target) card.near(isIntersecting)
    },
    { rootMargin: NEAR },
  )
  signal.addEventListener('abort', () => {
    observer.disconnect()
    for (const { end } of cards.values()) end.abort()
  })

  let weighing = false
  function weigh(): void {
    if (weighing) return
    weighing = true
    requestAnimationFrame(() => {
      weighing = false
      let [bytes, raw] = [0, 0]
      for (const { card } of cards.values()) {
        bytes += card.weight?.bytes ?? 0
        raw += card.weight?.raw ?? 0
      }
      scene.shown.set({ bytes, raw })
    })
  }

  let drawing = false
  /** Once a frame, however many photos come. */
  function drawSoon(): void {
    if (drawing) return
    drawing = true
    requestAnimationFrame(() => {
      drawing = false
      if (!signal.aborted) draw()
    })
  }
  function draw(): void {
    const keys = photos.keys.value
    const wanted = new Set(keys)
    for (const [key, { card, end }] of cards) {
      if (wanted.has(key)) continue
      end.abort()
      card.node.remove()
      cards.delete(key)
    }
    const nodes: HTMLElement[] = uploads.list.value.map((upload) => uploadCard(scene, upload))
    for (const key of keys) {
      let there = cards.get(key)
      if (!there) {
        const end = new AbortController()
        there = { card: card(scene, key, end.signal, weigh), end }
        cards.set(key, there)
        observer.observe(there.card.node)
      }
      nodes.push(there.card.node)
    }
    arrange(list, nodes)
    empty.hidden = nodes.length > 0 || !photos.known.value || photos.trouble.value !== undefined
    write(count, photos.more.value ? text.photoCountMore(keys.length) : text.photoCount(keys.length))
    count.hidden = controls.hidden = modes.hidden = keys.length === 0
    more.hidden = !photos.more.value
    dismissAll.hidden = uploads.list.value.filter(({ state }) => state.value.at === 'failed').length < 2
    weigh()
  }
  draw()
  photos.keys.watch(signal, drawSoon)
  photos.more.watch(signal, drawSoon)
  photos.known.watch(signal, drawSoon)
  uploads.list.watch(signal, drawSoon)
  photos.trouble.watch(signal, (why) => {
    trouble.hidden = why === undefined
    write(trouble, why ?? '')
  })
  return element(
    'section',
    { class: 'gallery', 'aria-labelledby': 'photos', id: 'gallery', tabindex: -1 },
    element('div', { class: 'head' }, element('h2', { id: 'photos' }, text.photos), count, dismissAll, modes),
    controls,
    trouble,
    list,
    empty,
    more,
  )
}
