import { element, freshId } from './element.ts'
import { icon } from './icon.ts'
import type { Scene } from './scene.ts'

/** A text to copy, and a button that does it and says so. */
export function copyField({ text, announce }: Scene, label: string, action: string) {
  const id = freshId()
  const box = element('textarea', { id, readonly: true, rows: 2, spellcheck: 'false', wrap: 'soft' })
  const button = element('button', { type: 'button', 'aria-label': action, click: () => void copy() })
  const face = (done: boolean) => button.replaceChildren(icon(done ? 'check' : 'copy'), done ? text.copied : text.copy)
  let last = 0
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(box.value)
      face(true)
      announce(text.copied)
    } catch {
      box.select()
      announce(text.notCopied)
    }
    clearTimeout(last)
    last = setTimeout(() => face(false), 2_000)
  }
  face(false)
  const node = element('div', { class: 'copy' }, element('label', { for: id }, label), box, button)
  return {
    node,
    set(value: string): void {
      box.value = value
      button.disabled = value === ''
    },
  }
}
