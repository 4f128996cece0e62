import { choices } from './control.ts'
import { element, write } from './element.ts'
import { icon } from './icon.ts'
import { illustration } from './illustration.ts'
import { WAYS } from './remembered.ts'
import type { Scene } from './scene.ts'

const SAMPLES = ['mug', 'ring', 'bottle', 'vase'] as const

/** Where photos come in: the whole page takes what is dropped on it, and a button opens the files. */
export function drop(scene: Scene): HTMLElement {
  const { text, uploads, remembered, signal, announce } = scene
  // What comes would be seen behind them.
  const uncover = () => {
    for (const dialog of document.querySelectorAll<HTMLDialogElement>('dialog[open]')) dialog.close()
  }
  const send = (files: Iterable<File>) => {
    const list = [...files]
    if (list.length === 0) return
    uncover()
    uploads.send(list)
    announce(text.uploadsBegan(list.length))
  }
  const input = element('input', {
    type: 'file',
    accept: 'image/jpeg,image/png,image/webp,image/bmp',
    multiple: true,
    // The button beside it opens it.
    hidden: true,
    id: 'files',
    'aria-label': text.choose,
    change: () => {
      send(input.files ?? [])
      // The same file may be chosen again.
      input.value = ''
    },
  })
  const title = element('strong', {}, text.dropTitle)
  const wayHelp = element('p', { class: 'help' })
  remembered.way.watch(signal, (way) => write(wayHelp, text.wayHelp[way]))
  const node = element(
    'div',
    { class: 'drop' },
    illustration(text.illustration),
    element(
      'div',
      { class: 'invite' },
      title,
      element('p', { class: 'help' }, text.formats),
      element('button', { type: 'button', class: 'main', click: () => input.click() }, icon('upload'), text.choose),
      input,
    ),
    element(
      'div',
      { class: 'samples' },
      element('span', {}, text.noPhoto),
      element(
        'span',
        { class: 'row' },
        ...SAMPLES.map((name) =>
          element(
            'button',
            { type: 'button', click: (event) => void take(name, event.currentTarget) },
            text.samples[name],
          ),
        ),
      ),
    ),
    element(
      'div',
      { class: 'way' },
      choices({
        legend: text.way,
        choices: WAYS.map((value) => ({ value, label: text.ways[value] })),
        current: remembered.way.value,
        choose: remembered.way.set,
      }),
      wayHelp,
    ),
  )

  async function take(name: (typeof SAMPLES)[number], button: EventTarget | null): Promise<void> {
    // It is drawn when it is asked for, which takes a second or more the first time.
    const wait = (on: boolean) => button instanceof HTMLElement && button.toggleAttribute('aria-busy', on)
    wait(true)
    try {
      const answer = await fetch(`/api/samples/${name}`)
      if (!answer.ok) throw new TypeError(`${answer.status}`)
      send([new File([await answer.blob()], `${name}.jpg`, { type: 'image/jpeg' })])
    } catch {
      announce(text.offline)
    } finally {
      wait(false)
    }
  }

  // A drag passes over many elements, and each tells of it; it has left when the last of them has.
  let inside = 0
  document.documentElement.dataset.drop = text.dropNow
  const over = (on: boolean) => {
    if (on) uncover()
    document.documentElement.classList.toggle('dragging', on)
    write(title, on ? text.dropNow : text.dropTitle)
  }
  const isFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
  addEventListener('dragenter', (event) => isFiles(event) && ++inside === 1 && over(true), { signal })
  addEventListener('dragleave', (event) => isFiles(event) && --inside === 0 && over(false), { signal })
  addEventListener('dragover', (event) => isFiles(event) && event.preventDefault(), { signal })
  addEventListener(
    'drop',
    (event) => {
      if (!isFiles(event)) return
      event.preventDefault()
      inside = 0
      over(false)
      send(event.dataTransfer?.files ?? [])
    },
    { signal },
  )
  addEventListener('paste', (event) => send(event.clipboardData?.files ?? []), { signal })
  return node
}
