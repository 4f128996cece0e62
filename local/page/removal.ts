import { element, freshId } from './element.ts'
import { icon } from './icon.ts'
import { nameOf, type Scene } from './scene.ts'

/** A button that deletes a photo, after it has been asked whether that is meant. */
export function removal({ text, api, photos, announce }: Scene, key: string, done: () => void): HTMLElement {
  const name = nameOf(key)
  const title = freshId()
  const help = freshId()
  const ask = element(
    'dialog',
    { class: 'ask', role: 'alertdialog', 'aria-labelledby': title, 'aria-describedby': help },
    element('h2', { id: title }, text.removeAsk(name)),
    element('p', { id: help }, text.removeHelp),
    element(
      'div',
      { class: 'row' },
      // The first one has the focus: Enter keeps the photo.
      element('button', { type: 'button', click: () => ask.close() }, text.keep),
      element('button', { type: 'button', class: 'danger', click: () => void remove() }, text.remove),
    ),
  )
  async function remove(): Promise<void> {
    try {
      await api.remove(key)
      ask.close()
      done()
      await photos.look(key)
      announce(text.removed(name))
    } catch (error) {
      announce(error instanceof Error ? error.message : String(error))
    }
  }
  return element(
    'div',
    {},
    element('button', { type: 'button', class: 'danger', click: () => ask.showModal() }, icon('bin'), text.remove),
    ask,
  )
}
