import { element, freshId, write } from './element.ts'
import { icon } from './icon.ts'
import { nameOf, type Scene } from './scene.ts'

/** A button that deletes a photo, after it has been asked whether that is meant. */
export function removal({ text, api, photos, place, announce }: Scene, key: string, done: () => void): HTMLElement {
  const name = nameOf(key)
  const title = freshId()
  const help = freshId()
  const trouble = element('p', { class: 'trouble', role: 'alert', hidden: true })
  const ask = element(
    'dialog',
    { class: 'ask', role: 'alertdialog', 'aria-labelledby': title, 'aria-describedby': help },
    element('h2', { id: title }, text.removeAsk(name)),
    element('p', { id: help }, place.value?.removes ? text.removeAllHelp : text.removeHelp),
    trouble,
    element(
      'div',
      { class: 'row' },
      // The first one has the focus: Enter keeps the photo.
      element('button', { type: 'button', click: () => ask.close() }, text.keep),
      element('button', { type: 'button', class: 'danger', click: () => void remove() }, text.remove),
    ),
  )
  async function remove(): Promise<void> {
    trouble.hidden = true
    try {
      await api.remove(key)
    } catch (error) {
      trouble.hidden = false
      return write(trouble, error instanceof Error ? error.message : String(error))
    }
    // It is gone, also where nobody can say so any more.
    await photos.look(key).catch(() => {})
    ask.close()
    done()
    announce(text.removed(name))
    // What had the focus is gone.
    document.getElementById('gallery')?.focus()
  }
  function open(): void {
    trouble.hidden = true
    ask.showModal()
  }
  return element(
    'div',
    {},
    element('button', { type: 'button', class: 'danger', click: open }, icon('bin'), text.remove),
    ask,
  )
}
