import { element, freshId, write } from './element.ts'
import { icon } from './icon.ts'
import type { Scene } from './scene.ts'

const SHOWN_MS = 2_000

/** A text to copy, and a button that does it and says so. */
export function copyField({ text }: Scene, label: string, action: string) {
  const id = freshId()
  const box = element('textarea', { id, readonly: true, rows: 3, spellcheck: 'false', wrap: 'soft' })
  const button = element('button', { type: 'button', disabled: true, click: () => void copy() })
  // In here, because what lies outside of an open dialog is not read aloud.
  const said = element('span', { class: 'quiet', role: 'status' })
  function face(done: boolean): void {
    button.replaceChildren(icon(done ? 'check' : 'copy'), done ? text.copied : text.copy)
    // Its name holds what is seen on it (WCAG 2.5.3).
    button.setAttribute('aria-label', done ? text.copied : action)
  }
  let last = 0
  async function copy(): Promise<void> {
    const done = await navigator.clipboard.writeText(box.value).then(
      () => true,
      () => false,
    )
    if (!done) box.select()
    face(done)
    said.className = done ? 'quiet' : 'help'
    write(said, done ? text.copied : text.notCopied)
    clearTimeout(last)
    last = setTimeout(() => {
      face(false)
      write(said, '')
    }, SHOWN_MS)
  }
  face(false)
  return {
    node: element('div', { class: 'copy' }, element('label', { for: id }, label), box, button, said),
    set(value: string): void {
      box.value = value
      button.disabled = value === ''
    },
  }
}
